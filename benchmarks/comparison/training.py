"""Training for a number of seconds, whatever number of steps that is."""

import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from benchmarks.timing import synchronize
from tasks.data.batches import Batch
from tasks.learning.classifier import Classifier, NonFiniteLossError
from tasks.learning.schedules import one_cycle
from tasks.learning.score import Score
from tasks.training.warning_filters import quiet

Point = dict[str, Any]

# More than any training takes: the seconds end it. The schedule reads the share of the seconds in as many steps.
NEVER, STEPS_OF_CYCLE = 10**9, 10**6


class TimedClassifier(Classifier):
    """The classifier of all tasks, with two differences: the seconds set its learning rate, and divergence is a result.

    Where loss or gradient are infinite or NaN, the weights stay as they were.

    Args:
        backbone: Any backbone.
        options: Options of `Classifier`.
    """

    def __init__(self, backbone: torch.nn.Module, **options: Any) -> None:
        # A factor of 1 at each step: the peak stays in the groups, and `SecondsLimit` multiplies it.
        super().__init__(backbone, **{**options, "schedule": "constant", "warmup": 0.0})
        self.diverged = False

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss; a constant, whose step changes nothing, where it is infinite or NaN."""
        try:
            return super().training_step(batch, batch_idx)
        except NonFiniteLossError:
            self.diverged = True
            return torch.zeros((), device=self.device, requires_grad=True)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Drop gradients that are infinite or NaN: the optimizer leaves parameters without a gradient alone."""
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        if not get_total_norm(gradients).isfinite():
            self.diverged = True
            optimizer.zero_grad()


class SecondsLimit(Callback):
    """End the training when the seconds are spent, and validate on the way; validation is not counted.

    The learning rates follow one cycle over the seconds.

    Args:
        seconds: Seconds of training: loading, forward, backward and step.
        warmup: Share of the seconds in which the learning rate rises.
        num_points: Validations, evenly spread over the seconds; the last when all are spent.
    """

    def __init__(self, *, seconds: float, warmup: float, num_points: int) -> None:
        self.seconds, self.warmup, self.num_points = seconds, warmup, num_points
        self.curve: list[Point] = []
        self.steps, self.samples = 0, 0
        self._earlier, self._since = 0.0, 0.0

    @property
    def spent(self) -> float:
        """Seconds of training so far."""
        return self._earlier + time.perf_counter() - self._since

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Set the learning rates by the share of the seconds that is spent."""
        share = min(self.spent / self.seconds, 1.0)
        factor = one_cycle(round(share * (STEPS_OF_CYCLE - 1)), total_steps=STEPS_OF_CYCLE, warmup=self.warmup)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * factor

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count, and decide whether to validate and whether to stop."""
        if not pl_module.diverged:
            self.steps, self.samples = self.steps + 1, self.samples + len(batch["y"])
        due = self.seconds * (len(self.curve) + 1) / self.num_points
        if self.spent >= due:
            synchronize()
        spent = self.spent
        # Lightning validates when the number of batches is a multiple of this.
        trainer.val_check_batch = 1 if spent >= due else NEVER
        trainer.should_stop = spent >= self.seconds or pl_module.diverged

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._earlier = self.spent

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep a point of the curve, and start the clock again."""
        point = {"seconds": round(self._earlier, 2), "steps": self.steps, "samples": self.samples}
        self.curve.append(point | {"diverged": pl_module.diverged} | score(pl_module))
        word = ", diverged" if pl_module.diverged else ""
        accuracy = f"validation {100 * self.curve[-1]['accuracy']:.2f}%{word}"
        print(f"  {self._earlier:7.1f} s  step {self.steps:,}  {accuracy}", flush=True)
        self._since = time.perf_counter()


def train(
    model: TimedClassifier,
    data: LightningDataModule,
    *,
    seconds: float,
    warmup: float,
    gradient_clip: float,
    num_points: int = 8,
    accelerator: str = "auto",
) -> tuple[list[Point], dict[str, Any]]:
    """Train until the seconds are spent, then test once.

    Args:
        model: What to train; it leaves with the weights that are tested.
        data: Data that are set up.
        seconds: Seconds of training.
        warmup: Share of the seconds in which the learning rate rises.
        gradient_clip: Largest norm of the gradient.
        num_points: Validations, evenly spread over the seconds.
        accelerator: Lightning's accelerator.

    Returns:
        One point of the curve for each validation, and the score on the test split. Where a loss or a gradient is
        infinite or NaN, training ends before that step, and the last point says `diverged`.
    """
    limit = SecondsLimit(seconds=seconds, warmup=warmup, num_points=num_points)
    with quiet():
        trainer = Trainer(
            accelerator=accelerator, devices=1, max_epochs=-1, max_steps=NEVER, gradient_clip_val=gradient_clip,
            check_val_every_n_epoch=None, val_check_interval=NEVER, num_sanity_val_steps=0, callbacks=[limit],
            logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            use_distributed_sampler=False,
        )  # fmt: skip
        trainer.fit(model, datamodule=data)
        trainer.test(model, datamodule=data, verbose=False)
    return limit.curve, score(model)


def score(model: Classifier) -> dict[str, Any]:
    """Count what the last evaluation got right.

    Args:
        model: The model.

    Returns:
        `accuracy`, `correct` and `n`.
    """
    found = Score.of(model.join_predictions(), model.head)
    return {"accuracy": found.metrics["accuracy"], "correct": found.correct, "n": found.num_samples}
