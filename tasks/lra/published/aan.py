"""The released pairs of papers of the ACL Anthology Network."""

from collections.abc import Iterator
from pathlib import Path

from tasks.data.data_set import DataSet
from tasks.data.lra_release import ARCHIVE, INNER_FOLDER
from tasks.errors import UserError
from tasks.lra.published import tables

FILES = {
    split: f"new_aan_pairs.{part}.tsv" for split, part in {"train": "train", "val": "eval", "test": "test"}.items()
}
NUM_SAMPLES = {"train": 147_086, "val": 18_090, "test": 17_437}
LABELS = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}
NUM_COLUMNS = 5


def find_files(root: Path) -> dict[str, Path]:
    """Return the file of each split below the folder `root` of all data sets; `UserError` if one is missing."""
    return tables.find_files(DATA_SET, FILES, root=root)


def read_pairs(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield label and both texts of each pair; a quote is a character like any other.

    Raises:
        UserError: If the file is broken, or a label is neither 0 nor 1.
    """
    for number, (label, _, _, first, second) in tables.read_rows(path, columns=NUM_COLUMNS):
        if label not in LABELS:
            raise UserError(f"{path}, line {number} must begin with the label 0 or 1, got {label!r}")
        yield LABELS[label], first, second


DATA_SET = DataSet(
    name="lra.retrieval",
    folder=".",
    archives=(ARCHIVE,),
    count_samples=lambda root: tables.count_rows(find_files(root), read=read_pairs, published=NUM_SAMPLES),
    places=(f"{INNER_FOLDER}/tsv_data", "lra_release/tsv_data", "tsv_data", "aan"),
    holds=FILES["train"],
    members=f"{INNER_FOLDER}/tsv_data",
    aliases=("lra.aan",),
)
