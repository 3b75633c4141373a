"""The released files of ListOps."""

from collections.abc import Iterator
from pathlib import Path

from tasks.data.data_set import find_folder
from tasks.errors import UserError
from tasks.lra.published.tables import read_rows

# The release holds a folder of its own name once more; S4 and S5 use the inner one.
FOLDERS = ("lra_release/lra_release/listops-1000", "lra_release/listops-1000", "listops-1000", "listops")
FILES = {split: f"basic_{split}.tsv" for split in ("train", "val", "test")}
HEADER = ["Source", "Target"]


def find_files(root: Path) -> dict[str, Path]:
    """Return the file of each split below the folder `root` of all data sets; `UserError` if one is missing."""
    folder = find_folder(root, FOLDERS, holds=FILES["train"])
    for name in FILES.values():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; the released folder holds {', '.join(FILES.values())}")
    return {split: folder / name for split, name in FILES.items()}


def read_split(path: Path) -> Iterator[tuple[list[str], int]]:
    """Yield the symbols, without parentheses, and the value of each expression.

    Raises:
        UserError: If the file is broken, has another header, or a value is no digit.
    """
    for number, (source, target) in read_rows(path, columns=2):
        if number == 1:
            if [source, target] != HEADER:
                raise UserError(f"{path} must begin with the line Source, Target, got {source!r}, {target!r}")
            continue
        if target not in tuple("0123456789"):
            raise UserError(f"{path}, line {number} must end in a digit, got {target!r}")
        yield split_symbols(source), int(target)


def split_symbols(expression: str) -> list[str]:
    """Split an expression into symbols, without parentheses.

    Example:
        >>> split_symbols("( ( [MAX 2 ) 9 ) ]")
        ['[MAX', '2', '9', ']']
    """
    return [symbol for symbol in expression.split() if symbol not in ("(", ")")]
