"""Images and their labels as they lie in memory: bytes, checked once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor


class LabelledImages(NamedTuple):
    """Images of one published part."""

    pixels: Tensor
    """Bytes, `(N, C, H, W)`, `uint8`."""
    labels: Tensor
    """Classes counted from 0, `(N,)`, `int64`."""


def labelled_images(pixels: Tensor, labels: Tensor, *, num_classes: int, source: Path) -> LabelledImages:
    """Check images and labels against each other.

    Args:
        pixels: Bytes, `(N, C, H, W)`.
        labels: Classes counted from 0, `(N,)`, of any integer type.
        num_classes: Classes that there are.
        source: The file that they come from, for the messages.

    Returns:
        Both, the labels as `int64`.

    Raises:
        ValueError: If pixels are no bytes, the counts differ or are zero, or a label is out of range.
    """
    if pixels.dtype != torch.uint8 or pixels.ndim != 4:
        raise ValueError(
            f"{source} must hold images as bytes (N, C, H, W), got {pixels.dtype} of shape {tuple(pixels.shape)}"
        )
    if len(pixels) != len(labels) or len(labels) == 0:
        raise ValueError(f"{source} must hold one label an image, got {len(pixels)} images and {len(labels)} labels")
    labels = labels.long()
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(f"{source} must hold labels of {num_classes} classes, got labels from {low} to {high}")
    return LabelledImages(pixels, labels)


def count_images(read: Callable[[Path], tuple[LabelledImages, LabelledImages]], root: Path) -> dict[str, int]:
    """Count the published images.

    Args:
        read: Reads the training and test images.
        root: Folder of all data sets.

    Returns:
        Training and test images.
    """
    train, test = read(root)
    return {"train": len(train.labels), "test": len(test.labels)}


def joined(parts: Sequence[LabelledImages]) -> LabelledImages:
    """Join parts of one data set.

    Args:
        parts: The parts, in their order.

    Returns:
        All images and labels.
    """
    return LabelledImages(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))
