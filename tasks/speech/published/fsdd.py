"""The published files of the Free Spoken Digit Dataset."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet
from tasks.errors import UserError

CLASS_NAMES = tuple(str(digit) for digit in range(10))
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SAMPLE_RATE = 8000
NUM_TEST, NUM_VAL = 5, 5
"""Of the 50 recordings of a digit by a speaker: 0 to 4 are the official test, 5 to 9 validate here."""

_NAME = re.compile(r"(?:.*/)?recordings/((\d)_([a-z]+)_(\d+)\.wav)")


class Recording(NamedTuple):
    """One recording of the archive."""

    name: str
    member: str
    digit: int
    speaker: str
    number: int


def list_recordings(path: Path) -> list[Recording]:
    """List the recordings of an archive by digit, speaker and number.

    Raises:
        UserError: If the file is no whole zip archive, or holds no recording.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} must be a whole zip archive, got: {error}") from error
    found = [
        Recording(match[1], member, int(match[2]), match[3], int(match[4]))
        for member in members
        if (match := _NAME.fullmatch(member))
    ]
    if not found:
        raise UserError(f"{path} must hold recordings/<digit>_<speaker>_<number>.wav, got an archive without them")
    return sorted(found, key=lambda recording: (recording.digit, recording.speaker, recording.number))


def read_members(path: Path, members: list[str]) -> Iterator[bytes]:
    """Yield the content of members of a zip archive, in this order."""
    with zipfile.ZipFile(path) as archive:
        for member in members:
            yield archive.read(member)


def choose_split(recording: Recording, *, test_speaker: str | None = None) -> str:
    """Return the split of a recording; `test_speaker` names the one who is heard in the test alone.

    Without one: numbers 0 to 4 test (official), 5 to 9 validate. With one: all of that speaker test, numbers 5 to 9
    of the others validate, and the rest of the others train.
    """
    if test_speaker is not None and recording.speaker == test_speaker:
        return "test"
    if NUM_TEST <= recording.number < NUM_TEST + NUM_VAL:
        return "val"
    return "test" if test_speaker is None and recording.number < NUM_TEST else "train"


def count_samples(root: Path) -> dict[str, int]:
    """Count the recordings of each split."""
    (path,) = DATA_SET.find_archives(root)
    splits = [choose_split(recording) for recording in list_recordings(path)]
    return {split: splits.count(split) for split in ("train", "val", "test")}


DATA_SET = DataSet(
    name="speech.fsdd",
    folder="fsdd",
    archives=(
        Archive(
            name="free-spoken-digit-dataset-1.0.10.zip",
            urls=("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",),
            md5="6a6d1ec584542fd2c3e0f5b8fdade606",
            md5_of="recordings",
        ),
    ),
    count_samples=count_samples,
)
