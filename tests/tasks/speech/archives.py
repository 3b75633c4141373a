"""Small archives in the exact layout of the public ones, filled with tones."""

import zipfile
from pathlib import Path

from tests.tasks.speech.recordings import tone, wav_bytes, write_folder

FSDD_SPEAKERS = ("george", "theo")
FSDD_NUMBERS = 12


def write_fsdd(root: Path) -> None:
    """Write 12 recordings of each digit by two speakers, and files of the repository that are no recordings."""
    path = root / "fsdd/free-spoken-digit-dataset-1.0.10.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    top = "free-spoken-digit-dataset-1.0.10"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{top}/README.md", "A simple audio dataset\n")
        archive.writestr(f"{top}/metadata.py", "metadata = {}\n")
        for digit in range(10):
            for place, speaker in enumerate(FSDD_SPEAKERS):
                for number in range(FSDD_NUMBERS):
                    samples = tone(200 + 100 * digit, seconds=0.05 + 0.005 * number, seed=1000 * place + number)
                    archive.writestr(f"{top}/recordings/{digit}_{speaker}_{number}.wav", wav_bytes(samples))


def write_recordings(root: Path) -> None:
    """Write a folder for each class, as a user has it."""
    write_folder(root / "recordings")


WRITERS = (write_fsdd, write_recordings)
