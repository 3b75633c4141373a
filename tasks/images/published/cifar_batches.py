"""The Python version of CIFAR: pickled dictionaries in a tar archive, read without running what they say.

Python 2 pickled the batches. To build an array, such a pickle names three callables of NumPy. Here inert stand-ins
answer to these names and keep the data, and any other name is refused: a hostile file has nothing to call.
"""

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data.tar_members import read_tar_members
from tasks.errors import UserError
from tasks.images.published.labelled_images import LabelledImages, label_images

CHANNELS, SIDE = 3, 32


class _PickledType:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: bytes, *flags: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Ignore the byte order: single bytes have none."""


class _PickledArray:
    """Stands for `numpy.ndarray`, and for the function that makes an empty one."""

    def __init__(self, *blank: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def rows(self) -> NDArray[np.uint8]:
        """Return the array; it must be rows of bytes."""
        _, shape, kind, by_columns, content = self.state
        if kind.name != b"u1" or len(shape) != 2:
            raise ValueError(f"an array of {kind.name!r} of shape {shape}")
        return np.frombuffer(content, np.uint8).reshape(tuple(shape), order="F" if by_columns else "C")


STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
    ("numpy", "ndarray"): _PickledArray,
    ("numpy", "dtype"): _PickledType,
}


class _BatchUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """Find a stand-in."""
        if (module, name) not in STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return STAND_INS[module, name]


def read_cifar(path: Path, members: Sequence[str], *, label_key: bytes, num_classes: int) -> list[LabelledImages]:
    """Read the batches `members` of an archive in one pass: images `(N, 3, 32, 32)`, and the labels under `label_key`.

    Raises:
        UserError: If the archive is broken or lacks a batch, or a batch holds anything else.
    """
    return [
        _read_batch(content, source=path / member, label_key=label_key, num_classes=num_classes)
        for member, content in zip(members, read_tar_members(path, members), strict=True)
    ]


def _read_batch(content: bytes, *, source: Path, label_key: bytes, num_classes: int) -> LabelledImages:
    try:
        batch = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
        rows = batch[b"data"].rows()
        labels = list(batch[label_key])
        if others := [label for label in labels if type(label) is not int]:
            raise ValueError(f"the label {others[0]!r}")
        classes = np.array(labels, dtype=np.int64)
    # A broken pickle can fail in any way: its bytes are instructions.
    except Exception as error:
        raise UserError(f"{source} must be a pickled CIFAR batch, got: {error}") from error
    if rows.shape[1] != CHANNELS * SIDE * SIDE:
        raise UserError(f"{source} must hold rows of {CHANNELS * SIDE * SIDE} bytes, got {rows.shape[1]}")
    return label_images(rows.reshape(-1, CHANNELS, SIDE, SIDE), classes, num_classes=num_classes, source=source)
