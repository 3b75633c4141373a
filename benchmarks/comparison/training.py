"""Training for a number of seconds, whatever number of steps that is."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from benchmarks.comparison.contenders import Contender
from benchmarks.timing import synchronize
from tasks.data.batches import Batch
from tasks.learning.schedules import along_cosine

Point = dict[str, float]


def rate_factor(share: float, *, warmup: float) -> float:
    """Rise along a cosine from 1/25 to 1, then fall along a cosine to 1/250,000: one cycle, over time instead of steps.

    Args:
        share: Share of the seconds that are spent, 0 to 1; more counts as 1.
        warmup: Share of the seconds spent rising.

    Returns:
        The factor on the peak learning rate.
    """
    share = min(share, 1.0)
    if share < warmup:
        return along_cosine(1 / 25, 1.0, share / warmup)
    return along_cosine(1.0, 1 / 250_000, (share - warmup) / (1 - warmup) if warmup < 1 else 1.0)


def train(
    contender: Contender,
    train_batches: DataLoader[Batch],
    val_batches: DataLoader[Batch],
    *,
    seconds: float,
    warmup: float,
    gradient_clip: float,
    ema_decay: float | None,
    num_points: int = 8,
) -> tuple[nn.Module, list[Point]]:
    """Train until the seconds are spent; what validation takes is not counted.

    Args:
        contender: What to train.
        train_batches: Training part, in a new order each epoch.
        val_batches: Validation part.
        seconds: Seconds of training: loading, forward, backward and step.
        warmup: Share of the seconds in which the learning rate rises.
        gradient_clip: Largest norm of the gradient.
        ema_decay: Decay of the average of the weights, which is then what is validated; `None` for none.
        num_points: Validations, evenly spread over the seconds; the last when all are spent.

    Returns:
        What to test, and one point of the curve for each validation. Where a gradient is infinite or undefined,
        training ends before that step, and the last point says `diverged`: that is a result, too.
    """
    model, device = contender.model, next(contender.model.parameters()).device
    optimizer = torch.optim.AdamW(contender.groups, fused=True)
    peaks = [group["lr"] for group in optimizer.param_groups]
    average = None
    if ema_decay is not None:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema_decay), use_buffers=True)
    scored = average.module if average else model
    batches, curve = _endless(train_batches), []
    spent, steps, samples, diverged = 0.0, 0, 0, False
    model.train()
    while spent < seconds and not diverged:
        started = time.perf_counter()
        x, y = _inputs(next(batches), device)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * rate_factor(spent / seconds, warmup=warmup)
        optimizer.zero_grad()
        contender.loss(model, x, y).backward()
        diverged = not nn.utils.clip_grad_norm_(model.parameters(), gradient_clip).isfinite()
        if not diverged:
            optimizer.step()
            steps, samples = steps + 1, samples + len(y)
            if average:
                average.update_parameters(model)
        due = seconds * (len(curve) + 1) / num_points
        if spent + time.perf_counter() - started >= due:
            synchronize()
        spent += time.perf_counter() - started
        if diverged or spent >= due:
            point = {"seconds": round(spent, 2), "steps": steps, "samples": samples, "diverged": diverged}
            curve.append(point | score(scored, val_batches))
            word = ", diverged" if diverged else ""
            print(f"  {spent:7.1f} s  step {steps:,}  validation {100 * curve[-1]['accuracy']:.2f}%{word}", flush=True)
    return scored, curve


@torch.no_grad()
def score(model: nn.Module, batches: DataLoader[Batch]) -> dict[str, Any]:
    """Count what a model gets right.

    Args:
        model: The model; it is left in the mode that it came in.
        batches: The part to score.

    Returns:
        `accuracy`, `correct` and `n`.
    """
    device, training = next(model.parameters()).device, model.training
    model.eval()
    correct, n = 0, 0
    for batch in batches:
        x, y = _inputs(batch, device)
        correct += int((model(x).argmax(dim=1) == y).sum())
        n += len(y)
    model.train(training)
    return {"accuracy": correct / n, "correct": correct, "n": n}


def _endless(batches: DataLoader[Batch]) -> Iterator[Batch]:
    epoch = 0
    while True:
        batches.sampler.set_epoch(epoch)
        yield from batches
        epoch += 1


def _inputs(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    return batch["x"].to(device), batch["y"].to(device)
