"""How long a training took, also when it was resumed."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from tasks.training.stopwatch import Stopwatch


class TrainingClock(Callback):
    """Count the seconds of the training and its validations; a resumed training goes on counting.

    (Lightning's `Timer` would do, but where there is one, `trainer.max_time` is ignored.)
    """

    def __init__(self) -> None:
        self._stopwatch = Stopwatch()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._stopwatch.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start."""
        self._stopwatch.start()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop."""
        self._stopwatch.stop()

    def state_dict(self) -> dict[str, Any]:
        """Keep the seconds so far in the checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the seconds in a checkpoint."""
        self._stopwatch.go_on_from(state_dict["seconds"])
