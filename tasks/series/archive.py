"""Data sets of the UCR and UEA archives, with their published splits."""

from pathlib import Path
from typing import Any

from tasks.data.sequences.arrays import Sequences, concatenate
from tasks.data.sequences.data_module import SequenceDataModule
from tasks.errors import UserError
from tasks.series.formats.reading import read_sequences


class ArchiveSequences(SequenceDataModule):
    """A data set of the UCR or UEA archive with its published splits.

    The files are `<root>/<data_set>/<data_set>_TRAIN` and `_TEST`, as `.ts`, `.txt` or `.tsv`. Equal sequences in
    the two published splits are counted, not refused.

    Args:
        data_set: Its name, such as `ACSF1`.
        root: Folder of all data sets.
        options: Those of `SequenceDataModule`.

    Raises:
        UserError: If a file is missing or broken.
    """

    splits_are_published = True
    reads_anew = True

    def __init__(self, *, data_set: str, root: Path = Path("data"), **options: Any) -> None:
        super().__init__(**options)
        self.data_set, self.root = data_set, Path(root)

    def read(self) -> Sequences:
        """Read the two published files."""
        return concatenate([self._read_part(part) for part in ("TRAIN", "TEST")], split=("train", "test"))

    def read_file(self, path: Path) -> Sequences:
        """Read new sequences from a file of any format."""
        return read_sequences(path)

    def _read_part(self, part: str) -> Sequences:
        paths = [self.root / self.data_set / f"{self.data_set}_{part}{suffix}" for suffix in (".ts", ".txt", ".tsv")]
        for path in paths:
            if path.is_file():
                return read_sequences(path)
        raise UserError(
            f"root must hold {self.data_set}/{paths[0].name} (or .txt or .tsv), got {self.root} without it; "
            f"hyperseq data prepare fetches the data sets that hyperseq list names; for another one, unpack "
            f"{self.data_set}.zip of timeseriesclassification.com there"
        )
