"""The released pairs of papers of the ACL Anthology Network."""

from collections.abc import Iterator
from pathlib import Path

from tasks.data.data_set import find_folder
from tasks.errors import UserError
from tasks.lra.published.tables import read_rows

FOLDERS = ("lra_release/lra_release/tsv_data", "lra_release/tsv_data", "tsv_data", "aan")
FILES = {
    split: f"new_aan_pairs.{part}.tsv" for split, part in {"train": "train", "val": "eval", "test": "test"}.items()
}
LABELS = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}
NUM_COLUMNS = 5


def find_files(root: Path) -> dict[str, Path]:
    """Return the file of each split below the folder `root` of all data sets; `UserError` if one is missing."""
    folder = find_folder(root, FOLDERS, holds=FILES["train"])
    for name in FILES.values():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; the released folder holds {', '.join(FILES.values())}")
    return {split: folder / name for split, name in FILES.items()}


def read_pairs(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield label and both texts of each pair; a quote is a character like any other.

    Raises:
        UserError: If the file is broken, or a label is neither 0 nor 1.
    """
    for number, (label, _, _, first, second) in read_rows(path, columns=NUM_COLUMNS):
        if label not in LABELS:
            raise UserError(f"{path}, line {number} must begin with the label 0 or 1, got {label!r}")
        yield LABELS[label], first, second
