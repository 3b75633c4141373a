"""One door to all formats: the name of a file tells its reader."""

from collections.abc import Callable
from pathlib import Path

from tasks.data.sequences.arrays import Sequences
from tasks.errors import UserError
from tasks.series.formats.arrays import read_npy, read_npz
from tasks.series.formats.tables import read_folder, read_table
from tasks.series.formats.ts import read_label_first, read_ts

READERS: dict[str, Callable[[Path], Sequences]] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".ts": read_ts,
    ".txt": read_label_first,
    ".tsv": read_label_first,
}
TABLES = (".csv", ".parquet")


def read_sequences(path: Path, *, time_step: float | None = None) -> Sequences:
    """Read a file of sequences, or a folder with a folder of CSV files for each class.

    With `time_step`, the sequences of a long table are interpolated at even times (see `read_table`).

    Raises:
        UserError: If there is no such file, it is of no known format, or `time_step` is given for a file without times.
    """
    if path.suffix.lower() in TABLES and path.is_file():
        return read_table(path, time_step=time_step)
    if time_step is not None:
        raise UserError(f"time_step must be null for data without a column of times, got {time_step:g} for {path.name}")
    if path.is_dir():
        return read_folder(path)
    if not path.is_file():
        raise UserError(f"path must lead to a file or a folder, got {path}")
    if (reader := READERS.get(path.suffix.lower())) is None:
        raise UserError(f"path must end with one of {', '.join((*READERS, *TABLES))}, got {path.name}")
    return reader(path)
