"""Texts as ids: a vocabulary of symbols learnt from the training split, or bytes, which need none."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.errors import UserError

PADDING, UNKNOWN, END = 0, 1, 2
NUM_SPECIALS = 3
"""Ids 0 to 2 are padding, an unknown symbol and the end of a text, as in S4."""
NUM_BYTE_IDS = 257
"""Id 0 is padding, byte b has the id b + 1, as in the Long Range Arena."""

CODE_POINTS = 0x110000

Ids = NDArray[np.int64]
Tokens = Literal["characters", "bytes"]


def encode_bytes(text: str, *, max_length: int) -> NDArray[np.int16]:
    """Return the ids of the first bytes of a text in UTF-8, at most `max_length`."""
    encoded = np.frombuffer(text.encode("utf-8")[:max_length], dtype=np.uint8)
    return encoded.astype(np.int16) + 1


def choose_encoder(
    tokens: Tokens, learnt: dict[str, Any], *, max_length: int
) -> tuple[Callable[[str], NDArray[np.int16]], int]:
    """Return the function that encodes a text, by bytes or the `characters` that were learnt, and its number of ids."""
    if tokens == "bytes":
        return partial(encode_bytes, max_length=max_length), NUM_BYTE_IDS
    vocabulary = CharacterVocabulary(learnt["characters"])
    return partial(vocabulary.encode, max_length=max_length), vocabulary.num_ids


def read_text(path: Path) -> str:
    """Read a text in UTF-8; a byte order mark and the line break at the end are left out.

    Raises:
        UserError: If it is no text in UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be text in UTF-8, got: {error}") from error


def count_characters(texts: Iterable[str]) -> dict[str, int]:
    """Count each character of all texts."""
    counts = np.zeros(CODE_POINTS, dtype=np.int64)
    for text in texts:
        found, times = np.unique(_code_points(text), return_counts=True)
        counts[found] += times
    return {chr(point): int(counts[point]) for point in counts.nonzero()[0]}


def order_by_frequency(counts: dict[str, int], *, min_count: int = 1) -> list[str]:
    """Return the symbols that occur at least `min_count` times, the most frequent first, equal ones by code point."""
    kept = [symbol for symbol, count in counts.items() if count >= min_count]
    return sorted(kept, key=lambda symbol: (-counts[symbol], symbol))


class CharacterVocabulary:
    """Ids of characters: the specials, then the characters in the order given.

    Args:
        characters: Different single characters.

    Raises:
        UserError: If an entry is no single character, or stands there twice.

    Example:
        >>> CharacterVocabulary("ab").encode("abc", max_length=4).tolist()
        [3, 4, 1, 2]
    """

    def __init__(self, characters: Sequence[str]) -> None:
        if any(len(character) != 1 for character in characters) or len(set(characters)) < len(characters):
            raise UserError(f"characters must be different single characters, got {list(characters)}")
        self.num_ids = NUM_SPECIALS + len(characters)
        self._ids = np.full(CODE_POINTS, UNKNOWN, dtype=np.int16)
        for number, character in enumerate(characters, NUM_SPECIALS):
            self._ids[ord(character)] = number

    def encode(self, text: str, *, max_length: int, end: bool = True) -> NDArray[np.int16]:
        """Return the ids of a text, at most `max_length`; with `end`, the last one marks the end of the text.

        A text that is too long loses characters, never the mark.
        """
        ids = self._ids[_code_points(text[: max_length - end])]
        return np.append(ids, np.int16(END)) if end else ids


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
