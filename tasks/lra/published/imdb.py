"""The published archive of movie reviews (Maas et al. 2011), packed or unpacked."""

import re
from pathlib import Path
from typing import NamedTuple

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.data.tar_members import iterate_tar_members
from tasks.errors import UserError

NUM_SAMPLES = {"train": 25_000, "test": 25_000}
SPLITS, CLASS_NAMES = ("train", "test"), ("neg", "pos")
MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_\d+\.txt")


class Reviews(NamedTuple):
    """The reviews of one split: first the negative ones, each class by number."""

    texts: list[str]
    labels: list[int]


def read_imdb(root: Path) -> dict[str, Reviews]:
    """Read the reviews of `train` and `test` in the folder `root` of all data sets; `unsup` is left out.

    Raises:
        UserError: If the archive is missing or broken, a class has no review, or a review is no UTF-8.
    """
    folder = DATA_SET.find_place(root)
    source = folder or DATA_SET.find_archives(root)[0]
    contents = _read_folder(folder) if folder else _read_archive(source)
    keys = {}
    for name in contents:
        if match := MEMBER.fullmatch(name):
            split, label, number = match.groups()
            keys[name] = (split, CLASS_NAMES.index(label), int(number))
    reviews = {split: Reviews([], []) for split in SPLITS}
    for name in sorted(keys, key=keys.__getitem__):
        split, label, _ = keys[name]
        if not contents[name]:
            raise UserError(f"{source}: {name} must hold a review, got 0 bytes")
        try:
            reviews[split].texts.append(contents[name].decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(f"{source}: {name} must be text in UTF-8, got: {error}") from error
        reviews[split].labels.append(label)
    for split in SPLITS:
        for label, name in enumerate(CLASS_NAMES):
            if label not in reviews[split].labels:
                raise UserError(
                    f"{source} must hold reviews aclImdb/{split}/{name}/*.txt, got none; fetch it again with: "
                    f"{DATA_SET.command(root, replace=True)}"
                )
    return reviews


def _read_archive(path: Path) -> dict[str, bytes]:
    members = iterate_tar_members(path, wanted=lambda name: bool(MEMBER.match(name)))
    return {name: content for name, content in members if content is not None}


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = [file for split in SPLITS for label in CLASS_NAMES for file in (folder / split / label).glob("*.txt")]
    return {f"aclImdb/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in files}


def _count(root: Path) -> dict[str, int]:
    counts = {split: len(reviews.texts) for split, reviews in read_imdb(root).items()}
    if (folder := DATA_SET.find_place(root)) and counts != NUM_SAMPLES:
        # An archive is judged by its checksum, a folder by this.
        raise UserError(
            f"{folder} must hold 25,000 reviews in each of train and test, got {counts['train']:,} and "
            f"{counts['test']:,}; unpack it again"
        )
    return counts


DATA_SET = DataSet(
    name="lra.text",
    folder="imdb",
    archives=(
        Archive(
            name="aclImdb_v1.tar.gz",
            urls=("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
            md5="7c2ac02c03563afcf9b574c7e56c153a",
        ),
    ),
    count_samples=_count,
    aliases=("lra.imdb",),
    places=("imdb/aclImdb", "aclImdb"),
    holds="train",
)
