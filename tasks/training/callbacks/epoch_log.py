"""One row of metrics an epoch, for the loggers, the curves and the reader."""

import csv
import io
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from tasks.runs.run_folder import write_text

Row = dict[str, float]


class EpochLog(Callback):
    """Add a row to the file `metrics.csv` when an epoch ends.

    A resumed training keeps the rows of the epochs behind it: each epoch stands there once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[Row] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the rows of the epochs that a resumed training has behind it."""
        self._rows = [row for row in read_rows(self.path) if row["epoch"] <= trainer.current_epoch]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the row of this epoch."""
        told = trainer.callback_metrics
        row: Row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row |= {name: float(told[name]) for name in sorted(told, key=_place) if name.startswith(("train/", "val/"))}
        row |= {f"lr/{group.get('name', number)}": group["lr"]
                for number, group in enumerate(trainer.optimizers[0].param_groups)}  # fmt: skip
        self._rows.append(row)
        write_rows(self.path, self._rows)
        for logger in trainer.loggers:
            logger.log_metrics({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))
            logger.save()


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write a `metrics.csv`; a metric that an epoch lacks is an empty cell."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_rows(path: Path) -> list[Row]:
    """Read a `metrics.csv` without its empty cells; there are no rows if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _number(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _place(name: str) -> tuple[bool, bool]:
    """Training before validation, and its loss first."""
    return not name.startswith("train/"), name != "train/loss"


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)
