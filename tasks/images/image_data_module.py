"""From published images to the parts of a task."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tasks.data.batches import Batch, TensorBatches
from tasks.data.splits import random_split
from tasks.images.published.labelled_images import LabelledImages

FRACTIONS = (0.9, 0.1)

Prepare = Callable[[Tensor], Tensor]
"""Makes inputs of the pixels of a batch."""

Augment = Callable[[Tensor, Tensor, int], Tensor]
"""Changes the pixels of a batch; what it draws depends on the positions of the samples and the epoch."""


def image_parts(
    train: LabelledImages,
    test: LabelledImages,
    *,
    prepare: Prepare,
    augment: Augment | None = None,
    split_seed: int,
    select_on_test: bool,
) -> dict[str, TensorBatches]:
    """Split images that lie in memory as bytes and become inputs when a batch is indexed.

    Args:
        train: The published training images; a random tenth of them validates.
        test: The published test images; their positions follow those of the training images.
        prepare: Makes inputs of the pixels of a batch.
        augment: Changes the pixels of a training batch, given positions and epoch, before they are prepared.
        split_seed: Seed of the split.
        select_on_test: Train on all training images, and validate on the test images.

    Returns:
        The parts `train`, `val` and `test`.
    """
    train_index = torch.arange(len(train.labels))
    test_index = len(train_index) + torch.arange(len(test.labels))
    test_part = _part(test, test_index, prepare=prepare)
    if select_on_test:
        return {
            "train": _part(train, train_index, prepare=prepare, augment=augment),
            "val": test_part,
            "test": test_part,
        }
    rows, val_rows = random_split(len(train_index), fractions=FRACTIONS, seed=split_seed)
    return {
        "train": _part(_taken(train, rows), rows, prepare=prepare, augment=augment),
        "val": _part(_taken(train, val_rows), val_rows, prepare=prepare),
        "test": test_part,
    }


def _taken(images: LabelledImages, rows: Tensor) -> LabelledImages:
    return LabelledImages(images.pixels[rows], images.labels[rows])


def _part(images: LabelledImages, index: Tensor, *, prepare: Prepare, augment: Augment | None = None) -> TensorBatches:
    transform = partial(_transform, prepare=prepare, augment=augment)
    return TensorBatches(x=images.pixels, y=images.labels, index=index, transform=transform)


def _transform(batch: Batch, epoch: int, *, prepare: Prepare, augment: Augment | None) -> Batch:
    pixels = augment(batch["x"], batch["index"], epoch) if augment else batch["x"]
    return Batch(**{**batch, "x": prepare(pixels)})
