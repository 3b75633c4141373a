"""Images of one size and their labels in two files that are written once and then mapped, not read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from tasks.data.disk_space import check_space
from tasks.errors import UserError

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


def find_packed(path: Path, *, side: int, num_classes: int, count: int | None = None) -> tuple[Bytes, Labels] | None:
    """Map the images `(N, side, side)` of a packed file, and read their labels `(N,)`; `None` if there is no such file.

    The map is copy-on-write: what changes it does not reach the file.

    Args:
        path: File of the images; that of the labels lies beside it.
        side: Height and width.
        num_classes: Labels lie below it.
        count: Number of images; `None` takes any.

    Raises:
        UserError: If a file is broken, or holds something else.
    """
    if not path.is_file():
        return None
    labels_path = _labels_of(path)
    pixels, labels = _load(path, path, mapped=True), _load(labels_path, path, mapped=False)
    first = pixels.shape[:1] if count is None else (count,)
    _check(path, path, pixels, shape=(*first, side, side), dtype=np.uint8)
    _check(labels_path, path, labels, shape=pixels.shape[:1], dtype=np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise _broken(labels_path, path, f"labels from {labels.min()} to {labels.max()}, not below {num_classes}")
    return pixels, labels


def write_packed(path: Path, chunks: Iterable[tuple[Bytes, Labels]], *, count: int, side: int) -> None:
    """Write the first `count` images `(n, side, side)`, and their labels, of some chunks; whole or not at all.

    Of two processes the second one waits for the first, and keeps its file.

    Raises:
        UserError: If the folder cannot be written, its disk is too small, or the chunks hold too few images.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if not path.is_file():
                _write(path, chunks, count=count, side=side)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path.parent} must be a folder that can be written, got: {reason}") from error


def _write(path: Path, chunks: Iterable[tuple[Bytes, Labels]], *, count: int, side: int) -> None:
    check_space(path.parent, count * (side**2 + np.dtype(np.int64).itemsize), purpose=f"{count:,} images")
    part = path.with_name(path.name + ".part")
    try:
        labels = _write_pixels(part, chunks, count=count, side=side)
        # The images come last: where their file is, the labels are, too.
        np.save(_labels_of(path), labels)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_pixels(path: Path, chunks: Iterable[tuple[Bytes, Labels]], *, count: int, side: int) -> Labels:
    labels = np.zeros(count, dtype=np.int64)
    filled = 0
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, side, side)}
    # Not written through a map: there, a disk that fills up kills the process in place of an error.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for images, classes in chunks:
            taken = min(len(images), count - filled)
            file.write(images[:taken].tobytes())
            labels[filled : filled + taken] = classes[:taken]
            filled += taken
            if filled == count:
                break
    if filled < count:
        raise UserError(f"chunks must hold {count} images, got {filled}")
    return labels


def _labels_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}-labels.npy")


def _load(file: Path, path: Path, *, mapped: bool) -> NDArray[Any]:
    try:
        if mapped:
            return np.lib.format.open_memmap(file, mode="c")
        with file.open("rb") as opened:
            return np.lib.format.read_array(opened)
    except Exception as error:
        # A damaged header ends in errors of many kinds: of values, of the tokenizer, of sizes.
        raise _broken(file, path, error) from error


def _check(file: Path, path: Path, array: NDArray[Any], *, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if array.shape != shape or array.dtype != dtype:
        wanted = f"{np.dtype(dtype)} of shape {shape}"
        raise _broken(file, path, f"{array.dtype} of shape {array.shape} in place of {wanted}")


def _broken(file: Path, path: Path, fault: object) -> UserError:
    return UserError(f"{file} must be a whole packed file, got: {fault}; delete {path} to have it written anew")
