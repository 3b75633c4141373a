"""The folders that people have on disk for one data set: as published, as unpacked, as other projects want them."""

from collections.abc import Sequence
from pathlib import Path

from tasks.errors import UserError


def find_folder(root: Path, choices: Sequence[str], *, holds: str) -> Path:
    """Return the first folder of `choices` below `root` that holds the file or folder `holds`.

    Raises:
        UserError: If none does; the message lists where it was looked for.
    """
    for choice in choices:
        if (root / choice / holds).exists():
            return root / choice
    places = ", ".join(str(root / choice) for choice in choices)
    raise UserError(f"{holds} must be in one of {places}, got none of them with it")
