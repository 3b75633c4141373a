"""Text files as lines and numbers; an error names the line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.data.sequences.arrays import Array
from tasks.errors import UserError


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 file, with or without byte order mark, whatever ends its lines.

    Raises:
        UserError: If the file is of another encoding.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path.name} must be UTF-8 text, got byte {error.object[error.start]:#x} at {error.start}"
        ) from error


def parse_numbers(words: Sequence[str], place: str, *, missing: str = "") -> Array:
    """Turn the words of a place, such as `line 3`, into numbers; the word `missing` and `NaN` become NaN.

    Raises:
        UserError: If a word is no number.
    """
    try:
        return np.array([np.nan if word.strip() == missing else float(word) for word in words], dtype=np.float64)
    except ValueError:
        for number, word in enumerate(words, start=1):
            try:
                np.nan if word.strip() == missing else float(word)
            except ValueError:
                raise UserError(f"{place} must hold numbers, got {word.strip()[:40]!r} as value {number}") from None
        raise
