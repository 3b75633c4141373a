"""Tab-separated files without quotes, read line by line."""

from collections.abc import Iterator
from pathlib import Path

from tasks.errors import UserError


def read_rows(path: Path, *, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line, from 1, and its cells; a quote is a character like any other.

    Lines may end in CRLF.

    Raises:
        UserError: If the file is missing or an HTML page, is no UTF-8, or a line has another number of cells.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; put the file there")
    try:
        # Only "\n" ends a line: a stray "\r" or form feed within a text does not.
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if number == 1 and line.lstrip().lower().startswith(("<!doctype html", "<html")):
                    raise UserError(f"{path} is an HTML page, not the table; fetch it again")
                cells = line.rstrip("\r\n").split("\t")
                if len(cells) != columns:
                    raise UserError(
                        f"{path}, line {number} must have {columns} cells, got {len(cells)}; a file that was cut short "
                        "must be fetched again"
                    )
                yield number, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be text in UTF-8, got: {error}") from error
