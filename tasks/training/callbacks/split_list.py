"""Which sample lies in which split, as a list in the run folder."""

import csv
import io
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from tasks.data.data_module import InMemoryDataModule
from tasks.runs.run_folder import write_text


class SplitList(Callback):
    """Write `splits.csv`, a row a sample, where the samples have names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the list in the order of the data; a sample of two splits has two rows."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, InMemoryDataModule) or data.sample_names is None:
            return
        rows = sorted((index, split) for split, batches in data.splits.items() for index in batches.index.tolist())
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("name", "split"), *((data.sample_names[index], split) for index, split in rows)])
        write_text(self.path, text.getvalue())
