"""One door to all formats: the name of a file tells its reader."""

from collections.abc import Callable
from pathlib import Path

from tasks.data.sequences.arrays import Sequences
from tasks.errors import UserError
from tasks.series.formats.arrays import read_npy, read_npz
from tasks.series.formats.tables import read_csv, read_folder
from tasks.series.formats.ts import read_label_first, read_ts

READERS: dict[str, Callable[[Path], Sequences]] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".ts": read_ts,
    ".txt": read_label_first,
    ".tsv": read_label_first,
    ".csv": read_csv,
}


def read_sequences(path: Path) -> Sequences:
    """Read a file of sequences, or a folder with a folder of CSV files for each class.

    Raises:
        UserError: If there is no such file, or it is of no known format.
    """
    if path.is_dir():
        return read_folder(path)
    if not path.is_file():
        raise UserError(f"path must lead to a file or a folder, got {path}")
    if (reader := READERS.get(path.suffix.lower())) is None:
        raise UserError(f"path must end with one of {', '.join(READERS)}, got {path.name}")
    return reader(path)
