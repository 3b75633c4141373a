"""One row of metrics an epoch, for the loggers, the curves and the reader."""

import csv
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

Row = dict[str, float]

COLUMNS = ("train/loss", "train/cross_entropy", "train/slow_neural_loss", "train/accuracy", "val/cross_entropy",
           "val/accuracy", "val/score")  # fmt: skip


class EpochLog(Callback):
    """Write a row when an epoch ends, and keeps all rows.

    A resumed training starts with the rows of the interrupted one, so that its table and its curves are whole.

    Args:
        earlier: The `metrics.csv` of the training that is resumed, if any.
    """

    def __init__(self, earlier: Path | None = None) -> None:
        self.rows: list[Row] = []
        self._earlier = earlier

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the rows of the epochs that the resumed training has behind it."""
        if self._earlier is not None and self._earlier.is_file():
            for row in read_rows(self._earlier):
                if row["epoch"] <= trainer.current_epoch:
                    self._add(trainer, row)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the row of this epoch."""
        metrics = trainer.callback_metrics
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row |= {name: float(metrics[name]) for name in COLUMNS if name in metrics}
        row |= {f"lr/{group.get('name', number)}": group["lr"]
                for number, group in enumerate(trainer.optimizers[0].param_groups)}  # fmt: skip
        self._add(trainer, row)

    def _add(self, trainer: Trainer, row: Row) -> None:
        self.rows.append(row)
        for logger in trainer.loggers:
            logger.log_metrics({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))
            logger.save()


def read_rows(path: Path) -> list[Row]:
    """Read a `metrics.csv`.

    Args:
        path: The file.

    Returns:
        Its rows; empty cells are left out.
    """
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _number(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)
