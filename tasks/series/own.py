"""Sequences of the user's own, from a file or a folder."""

from pathlib import Path
from typing import Any

from tasks.data.sequences.arrays import Sequences
from tasks.data.sequences.data_module import SequenceDataModule
from tasks.series.formats.reading import read_sequences


class OwnSequences(SequenceDataModule):
    """Sequences of the user's own.

    Args:
        path: A file (`.npz`, `.npy`, `.csv`, `.parquet`, `.ts`, `.txt`, `.tsv`), or a folder that holds a folder of CSV
            files for each class.
        time_step: Interpolate a long table at times of this step, in the units of its times (seconds for dates);
            `null`: uneven times are refused. New files are read in the same way.
        options: Those of `SequenceDataModule`.

    Raises:
        UserError: If the file cannot be read, or its data break a rule.
    """

    reads_anew = True

    def __init__(self, *, path: Path, time_step: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.path, self.time_step = Path(path), time_step

    def read(self) -> Sequences:
        """Read the file or the folder."""
        return read_sequences(self.path, time_step=self.time_step)

    def read_file(self, path: Path) -> Sequences:
        """Read new sequences from a file of any of the formats."""
        return read_sequences(path, time_step=self.time_step)
