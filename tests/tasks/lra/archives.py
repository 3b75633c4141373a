"""Small files in the exact format of the public ones."""

import csv
from pathlib import Path

import numpy as np

from tests.tasks.images.archives import write_tar

LISTOPS_ROWS = [
    ("( ( ( [MAX 2 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )", 4),
    ("( ( ( ( [MED 1 ) 2 ) 8 ) ] )", 2),
    ("( ( ( [SM 9 ) 8 ) ] )", 7),
]
WORDS = ["the", "plot", "is", "thin", "but", "it", "has", "a", "heart", "of", "gold", "and", "9", "lives"]


def write_listops(root: Path, *, folder: str = "lra_release/lra_release/listops-1000") -> None:
    """Write as Python's csv writer does: lines end in CRLF."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        with (root / folder / f"basic_{split}.tsv").open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(["Source", "Target"])
            writer.writerows(LISTOPS_ROWS * 8)


def review(number: int) -> str:
    """Return a text whose length and words depend on the number."""
    words = np.random.default_rng(number).choice(WORDS, 10 + number % 7)
    return " ".join(words) + "<br /><br />caf\u00e9 \u201cno\u201d"


def write_imdb(root: Path, *, count: int = 20) -> None:
    members = {}
    for split in ("test", "train"):
        for label in ("pos", "neg"):
            for number in range(count):
                stars = 9 if label == "pos" else 2
                members[f"aclImdb/{split}/{label}/{number}_{stars}.txt"] = review(number).encode()
        members[f"aclImdb/{split}/urls_pos.txt"] = b"http://example.org"
    members["aclImdb/train/unsup/0_0.txt"] = b"unlabelled"
    write_tar(root / "imdb/aclImdb_v1.tar.gz", members)


def write_aan(root: Path, *, folder: str = "lra_release/lra_release/tsv_data", count: int = 12) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for part in ("train", "eval", "test"):
        rows = [
            f'{number % 2}.0\tP{number}\tQ{number}\tan "open quote {review(number)}\t{review(number + 1)}'
            for number in range(count)
        ]
        (root / folder / f"new_aan_pairs.{part}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


WRITERS = (write_listops, write_imdb, write_aan)
