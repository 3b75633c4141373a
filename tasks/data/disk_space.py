"""Free space of a disk, looked at before something large is written."""

import shutil
from pathlib import Path

from tasks.errors import UserError


def check_space(folder: Path, num_bytes: int, *, purpose: str) -> None:
    """Check that the disk of a folder has room.

    Raises:
        UserError: If it has not; the message says how much is needed and how much is free.
    """
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise UserError(f"{folder} must have {num_bytes:,} bytes free for {purpose}, got {free:,}")
