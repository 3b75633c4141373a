"""Published images and their labels as arrays, checked once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.errors import UserError


class LabelledImages(NamedTuple):
    """Images of one published split."""

    pixels: NDArray[np.uint8]
    """`(N, C, H, W)`."""
    labels: NDArray[np.int64]
    """Classes counted from 0, `(N,)`."""


ReadImages = Callable[[Path], tuple[LabelledImages, LabelledImages]]
"""Given the folder of all data sets, reads the training and the test images of one."""


def label_images(pixels: NDArray[Any], labels: NDArray[Any], *, num_classes: int, source: Path) -> LabelledImages:
    """Check images against labels, which count classes from 0; `source` names their file in the messages.

    Raises:
        UserError: If the pixels are no bytes, the counts differ or are 0, or a label is out of range.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise UserError(f"{source} must hold images as bytes (N, C, H, W), got {pixels.dtype} of shape {pixels.shape}")
    if len(pixels) != len(labels) or len(labels) == 0:
        raise UserError(f"{source} must hold one label an image, got {len(pixels)} images and {len(labels)} labels")
    labels = labels.astype(np.int64)
    if labels.min() < 0 or labels.max() >= num_classes:
        found = f"labels from {labels.min()} to {labels.max()}"
        raise UserError(f"{source} must hold labels of {num_classes} classes, got {found}")
    return LabelledImages(pixels, labels)


def count_images(read: ReadImages, root: Path) -> dict[str, int]:
    """Count the training and test images in the folder `root` of all data sets."""
    train, test = read(root)
    return {"train": len(train.labels), "test": len(test.labels)}


def concatenate(splits: Sequence[LabelledImages]) -> LabelledImages:
    """Concatenate images and labels in the order of the splits."""
    return LabelledImages(
        np.concatenate([split.pixels for split in splits]), np.concatenate([split.labels for split in splits])
    )
