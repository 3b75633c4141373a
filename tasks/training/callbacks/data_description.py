"""What a model must know of its data, in every checkpoint."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from tasks.data.description import DataDescription

KEY = "data"


class DescribeData(Callback):
    """Write the description of the data into each checkpoint, so that `load_run` reads no data."""

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the description."""
        checkpoint[KEY] = DataDescription.of(trainer.datamodule).to_plain()  # type: ignore[attr-defined]
