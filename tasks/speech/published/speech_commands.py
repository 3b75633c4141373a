"""The published files of Speech Commands, version 0.02 (Warden 2018, arXiv 1804.03209)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.data.tar_members import iterate_tar_members
from tasks.errors import UserError

SAMPLE_RATE = 16000
WordsName = Literal[35, 12, 10]

WORDS_10 = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
"""In the order of their labels in CKConv and S4."""

BACKGROUND = "_background_noise_"
LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}


class Words(NamedTuple):
    """What the archive holds; a path is `<word>/<file>.wav`."""

    paths: list[str]
    """All recordings, in the order of the archive."""
    splits: dict[str, frozenset[str]]
    """The official lists, `val` and `test`."""

    @property
    def words(self) -> list[str]:
        """The words, sorted."""
        return sorted(path for path in self.paths if not path.startswith(BACKGROUND))

    @property
    def backgrounds(self) -> list[str]:
        """The recordings of noise, of a minute and more, sorted."""
        return sorted(path for path in self.paths if path.startswith(BACKGROUND))

    def choose_split(self, path: str) -> str:
        """Return the official split of a word."""
        return next((split for split, paths in self.splits.items() if path in paths), "train")


def read_contents(path: Path) -> Words:
    """Read the names and the lists of the archive in one pass.

    Raises:
        UserError: If the archive is broken, or a list is missing or names a word that is not there.
    """
    paths: list[str] = []
    lists: dict[str, frozenset[str]] = {}
    for name, content in iterate_tar_members(path, wanted=lambda name: name in LISTS.values()):
        if name.endswith(".wav"):
            paths.append(name)
        elif content is not None:
            lists[name] = frozenset(content.decode().split())
    for name in LISTS.values():
        if name not in lists:
            raise UserError(f"{path} must hold {name}, got an archive without it")
        if unknown := sorted(lists[name].difference(paths)):
            raise UserError(f"{name} must name words of the archive, got {unknown[0]}")
    splits = {split: lists[name] for split, name in LISTS.items()}
    return Words(paths, splits)


def read_recordings(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of all recordings, in the order of the archive."""
    for name, content in iterate_tar_members(path, wanted=lambda name: name.endswith(".wav")):
        if content is not None:
            yield name, content


def count_samples(root: Path) -> dict[str, int]:
    """Count the words of each split of the 35-word form."""
    (path,) = DATA_SET.find_archives(root)
    words = read_contents(path)
    counts = {split: len(names) for split, names in words.splits.items()}
    return {"train": len(words.words) - sum(counts.values()), **counts}


DATA_SET = DataSet(
    name="speech.speech_commands",
    folder="speech_commands",
    archives=(
        Archive(
            name="speech_commands_v0.02.tar.gz",
            urls=(
                "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            ),
            md5="6b74f3901214cb2c2934e98196829835",
        ),
    ),
    count_samples=count_samples,
)
