"""How a network does on inputs longer than those it was trained with.

``python -m benchmarks.longer_inputs`` puts each of the digits of scikit-learn, 64 pixels read one by one, at a random
place of a longer sequence of noise, trains at one length, and tests at 1, 1.5, 2 and 4 times this length. The kernels
keep the extent of training; a longer input reads them on.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.report import environment
from hyperseq import Terminator
from hyperseq.functional import spatial_mean
from tasks.data.batches import BatchRows
from tasks.images.digits import Digits

FACTORS = (1.0, 1.5, 2.0, 4.0)
LENGTH, NOISE, BATCH, PEAK = 128, 0.1, 32, 5e-3


def hide(digits: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Put digits ``(N, 1, 64)`` at random places of noise ``(N, 1, length)``."""
    sequences = NOISE * torch.randn(len(digits), 1, length, generator=generator)
    starts = torch.randint(length - digits.shape[-1] + 1, (len(digits),), generator=generator).tolist()
    for sequence, digit, start in zip(sequences, digits, starts, strict=True):
        sequence[:, start : start + digit.shape[-1]] += digit
    return sequences


def measure(*, epochs: int, seed: int) -> list[float]:
    """Train at one length, and return the test accuracy in percent at each multiple of it."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    data = Digits()
    data.setup()
    splits = [data.splits[name] for name in ("train", "test")]
    (x, y), (test_x, test_y) = ((b["x"], b["y"]) for b in (s[BatchRows(list(range(len(s))), epoch=0)] for s in splits))
    backbone, head = Terminator(1, 1, size=LENGTH, channels=[8, 16, 32, 64]), nn.Linear(64, 10)
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK, weight_decay=0.0)
    steps = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=epochs * steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = cross_entropy(head(spatial_mean(backbone(hide(x[rows], LENGTH, generator)))), y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
    backbone.eval()
    with torch.no_grad():
        return [_accuracy(backbone, head, hide(test_x, int(f * LENGTH), generator), test_y) for f in FACTORS]


def _accuracy(backbone: Terminator, head: nn.Linear, x: Tensor, y: Tensor) -> float:
    right = [
        (head(spatial_mean(backbone(part))).argmax(-1) == target).sum().item()
        for part, target in zip(x.split(90), y.split(90), strict=True)
    ]
    return 100 * sum(right) / len(y)


def main() -> None:
    """Print the accuracies, one row a seed."""
    parser = argparse.ArgumentParser(prog="benchmarks.longer_inputs", description=__doc__)
    parser.add_argument("--epochs", type=int, default=12, help="passes over the training digits")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of weights, order and places")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    facts = environment()
    print(f"{facts['device']}, 1 thread, torch {facts['torch']}, commit {facts['commit']}")
    print(f"\n| seed | {' | '.join(f'{factor:g} x {LENGTH}' for factor in FACTORS)} |\n|{'---|' * 5}", flush=True)
    for seed in arguments.seeds:
        found = measure(epochs=arguments.epochs, seed=seed)
        print(f"| {seed} | {' | '.join(f'{value:.1f}%' for value in found)} |", flush=True)


if __name__ == "__main__":
    main()
