"""Images of one size and their labels in two files that are written once and then mapped, not read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from tasks.errors import UserError

Bytes = NDArray[np.uint8]


def find_packed(path: Path) -> tuple[Bytes, NDArray[np.int64]] | None:
    """Map the images `(N, H, W)` of a packed file, and read their labels `(N,)`; `None` if there is no such file.

    The map is copy-on-write: what changes it does not reach the file.

    Raises:
        UserError: If the file is broken.
    """
    if not path.is_file():
        return None
    try:
        pixels: Any = np.load(path, mmap_mode="c")
        labels = np.load(_labels_of(path))
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} must be a whole packed file, got: {error}; delete it to have it written anew"
        ) from error
    return pixels, labels


def write_packed(path: Path, chunks: Iterable[tuple[Bytes, NDArray[np.int64]]], *, count: int, side: int) -> None:
    """Write the first `count` images `(n, side, side)`, and their labels, of some chunks; whole or not at all.

    Of two processes the second one waits for the first, and keeps its file.

    Raises:
        UserError: If the chunks hold too few images.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        if path.is_file():
            return
        part = path.with_name(path.name + ".part")
        try:
            labels = _write_pixels(part, chunks, count=count, side=side)
            # The images come last: where their file is, the labels are, too.
            np.save(_labels_of(path), labels)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _write_pixels(
    path: Path, chunks: Iterable[tuple[Bytes, NDArray[np.int64]]], *, count: int, side: int
) -> NDArray[np.int64]:
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, side, side))
    labels = np.zeros(count, dtype=np.int64)
    filled = 0
    for images, classes in chunks:
        taken = min(len(images), count - filled)
        pixels[filled : filled + taken], labels[filled : filled + taken] = images[:taken], classes[:taken]
        filled += taken
        if filled == count:
            break
    pixels.flush()
    if filled < count:
        raise UserError(f"chunks must hold {count} images, got {filled}")
    return labels


def _labels_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}-labels.npy")
