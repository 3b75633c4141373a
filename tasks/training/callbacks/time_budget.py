"""A training that lasts a number of seconds, whatever number of steps that is."""

import time
from typing import Any, Literal, get_args

from pytorch_lightning import Callback, LightningModule, Trainer

from tasks.data.batches import Batch
from tasks.errors import UserError
from tasks.learning.classifier import Classifier
from tasks.learning.schedules import SCHEDULES
from tasks.training.stopwatch import Stopwatch

Clock = Literal["cpu", "wall"]
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}

# The schedules are functions of a step: the share of the seconds is read in as many steps.
STEPS = 10**6


class TimeBudget(Callback):
    """End the training when its seconds are spent; the schedule of the model runs over them, not over the epochs.

    Validations are not counted. After the last step the model is validated, and a continued run goes on from the
    seconds of its checkpoint. `trainer.max_epochs` still ends a training, so it must be out of reach.

    Args:
        seconds: Seconds of training; above 0.
        clock: `cpu` counts what all threads of the process compute, so that other programs on the machine do not
            shorten the training; `wall` is for a GPU.

    Raises:
        UserError: If an option is out of range.
    """

    def __init__(self, seconds: float, *, clock: Clock = "cpu") -> None:
        if not seconds > 0:
            raise UserError(f"seconds must be above 0, got {seconds}")
        if clock not in get_args(Clock):
            raise UserError(f"clock must be one of {', '.join(get_args(Clock))}, got {clock!r}")
        self.seconds, self._stopwatch = seconds, Stopwatch(CLOCKS[clock])

    @property
    def spent(self) -> float:
        """Seconds of training so far."""
        return self._stopwatch.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the schedule read the clock in place of the step, and start the clock.

        Raises:
            UserError: If several processes train together: each would have a clock of its own.
        """
        assert isinstance(pl_module, Classifier)
        if trainer.world_size > 1:
            raise UserError(f"trainer.devices must be 1 with TimeBudget, got {trainer.world_size} processes")
        of_schedule, warmup = SCHEDULES[pl_module.schedule], pl_module.warmup
        known: dict[int, float] = {}

        def factor(step: int) -> float:
            # The groups of weights ask one after the other: all of them get the time of the first.
            if step not in known:
                known.clear()
                share = min(self.spent / self.seconds, 1.0)
                known[step] = of_schedule(round(share * (STEPS - 1)), total_steps=STEPS, warmup=warmup)
            return known[step]

        schedule: Any = trainer.lr_scheduler_configs[0].scheduler
        schedule.lr_lambdas = [factor] * len(schedule.lr_lambdas)
        self._stopwatch.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Stop after this step, and its validation, when the seconds are spent."""
        trainer.should_stop = trainer.should_stop or self.spent >= self.seconds

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._stopwatch.stop()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock again, unless this was the trial before the training."""
        if not trainer.sanity_checking:
            self._stopwatch.start()

    def state_dict(self) -> dict[str, Any]:
        """Keep the seconds so far in the checkpoint."""
        return {"spent": self.spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the seconds in a checkpoint."""
        self._stopwatch.go_on_from(state_dict["spent"])
