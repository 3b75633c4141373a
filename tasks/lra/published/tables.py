"""Tab-separated files without quotes, read line by line."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tasks.data.archives import is_html
from tasks.data.data_set import DataSet
from tasks.errors import UserError


def read_rows(path: Path, *, columns: int, num_headers: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line, from 1, and its cells, headers included; a quote is a character like any other.

    Lines may end in CRLF.

    Raises:
        UserError: If the file is an HTML page, is no UTF-8, has no line behind the headers, or a line has another
            number of cells.
    """
    number = 0
    if is_html(path):
        raise UserError(f"{path} is an HTML page, not the table; fetch it again")
    try:
        # Only "\n" ends a line: a stray "\r" or form feed within a text does not.
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                cells = line.rstrip("\r\n").split("\t")
                if len(cells) != columns:
                    raise UserError(
                        f"{path}, line {number} must have {columns} cells, got {len(cells)}; a file that was cut short "
                        "must be fetched again"
                    )
                yield number, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be text in UTF-8, got: {error}") from error
    if number <= num_headers:
        raise UserError(f"{path} must hold samples, got none in {path.stat().st_size} bytes; fetch it again")


def find_files(data_set: DataSet, files: Mapping[str, str], *, root: Path) -> dict[str, Path]:
    """Return the file of each split, given its name, where a data set lies below the folder `root` of all data sets.

    Raises:
        UserError: If one is missing; the message names the command that helps.
    """
    place = data_set.get_place(root)
    for name in files.values():
        if not (place / name).is_file():
            raise UserError(
                f"{place / name} is missing; the released folder holds {', '.join(files.values())}; prepare it with: "
                f"{data_set.command(root, replace=True)}"
            )
    return {split: place / name for split, name in files.items()}


def count_rows(
    paths: Mapping[str, Path], *, read: Callable[[Path], Iterator[object]], published: Mapping[str, int]
) -> dict[str, int]:
    """Count the rows of the file of each split.

    Raises:
        UserError: If a file is broken, or has not the published number of rows.
    """
    counts = {split: sum(1 for _ in read(path)) for split, path in paths.items()}
    for split, count in counts.items():
        if count != published[split]:
            raise UserError(f"{paths[split]} must have {published[split]:,} samples, got {count:,}; fetch it again")
    return counts
