"""The released files of ListOps."""

from collections.abc import Iterator
from pathlib import Path

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.errors import UserError
from tasks.lra.published import tables

FILES = {split: f"basic_{split}.tsv" for split in ("train", "val", "test")}
NUM_SAMPLES = {"train": 96_000, "val": 2_000, "test": 2_000}
HEADER = ["Source", "Target"]
BUCKET = "https://storage.googleapis.com/long-range-arena"


def find_files(root: Path) -> dict[str, Path]:
    """Return the file of each split below the folder `root` of all data sets; `UserError` if one is missing."""
    return tables.find_files(DATA_SET, FILES, root=root)


def read_split(path: Path) -> Iterator[tuple[list[str], int]]:
    """Yield the symbols, without parentheses, and the value of each expression.

    Raises:
        UserError: If the file is broken, has another header, or a value is no digit.
    """
    for number, (source, target) in tables.read_rows(path, columns=2, num_headers=1):
        if number == 1:
            if [source, target] != HEADER:
                raise UserError(f"{path} must begin with the line Source, Target, got {source!r}, {target!r}")
            continue
        if target not in tuple("0123456789"):
            raise UserError(f"{path}, line {number} must end in a digit, got {target!r}")
        symbols = split_symbols(source)
        if not symbols:
            raise UserError(f"{path}, line {number} must begin with an expression, got {source!r}")
        yield symbols, int(target)


def split_symbols(expression: str) -> list[str]:
    """Split an expression into symbols, without parentheses.

    Example:
        >>> split_symbols("( ( [MAX 2 ) 9 ) ]")
        ['[MAX', '2', '9', ']']
    """
    return [symbol for symbol in expression.split() if symbol not in ("(", ")")]


DATA_SET = DataSet(
    name="lra.listops",
    folder="listops-1000",
    # The bucket has the three files beside the archive of all tasks, which is 8 GB.
    archives=tuple(Archive(name, (f"{BUCKET}/lra_release/listops-1000/{name}",), None) for name in FILES.values()),
    count_samples=lambda root: tables.count_rows(find_files(root), read=read_split, published=NUM_SAMPLES),
    # The release holds a folder of its own name once more; S4 and S5 use the inner one.
    places=("lra_release/lra_release/listops-1000", "lra_release/listops-1000", "listops-1000", "listops"),
    # The last file that is fetched.
    holds=FILES["test"],
    options=("--data.init_args.source", "released"),
)
