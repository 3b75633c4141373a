"""How long a training took, also when it was resumed."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class TrainingClock(Callback):
    """Count the seconds of the training and its validations; a resumed training goes on counting.

    (Lightning's `Timer` would do, but where there is one, `trainer.max_time` is ignored.)
    """

    def __init__(self) -> None:
        self._earlier = 0.0
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._earlier + (0.0 if self._started is None else time.perf_counter() - self._started)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start."""
        self._started = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop."""
        self._earlier, self._started = self.seconds, None

    def state_dict(self) -> dict[str, Any]:
        """Keep the seconds so far in the checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the seconds in a checkpoint."""
        self._earlier = state_dict["seconds"]
