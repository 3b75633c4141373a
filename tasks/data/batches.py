"""Batches of data that lie in memory: whole batches are indexed at once, in an order fixed by seed and epoch."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from typing_extensions import NotRequired


class Batch(TypedDict):
    """One batch of a classification task."""

    x: Tensor
    """Inputs, `(B, C, *S)`."""
    y: Tensor
    """Classes, `(B,)`."""
    index: Tensor
    """Position of each sample in the whole data set, `(B,)`."""
    lengths: NotRequired[Tensor]
    """Filled positions of each sample, `(B,)`; absent when all are full."""


def check_batch_size(batch_size: int) -> int:
    """Refuse an empty batch.

    Args:
        batch_size: Samples a batch.

    Returns:
        The same number.

    Raises:
        ValueError: If it is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    return batch_size


class BatchRows(NamedTuple):
    """Which samples make a batch, and when: all that its content may depend on."""

    rows: list[int]
    epoch: int


class TensorBatches(Dataset[Batch]):
    """A data set whose items are whole batches: `dataset[BatchRows([3, 1, 4], epoch=0)]` holds these three samples.

    Args:
        x: Inputs, `(N, C, *S)`.
        y: Classes, `(N,)`.
        index: Position of each sample in the whole data set, `(N,)`.
        lengths: Filled positions of each sample, `(N,)`, or `None` when all are full.
        transform: Changes a batch, given the epoch, when it is indexed: data can lie in memory as bytes and become
            floats here, or be augmented. Module-level functions (and `functools.partial`) reach every worker.
    """

    def __init__(
        self,
        *,
        x: Tensor,
        y: Tensor,
        index: Tensor,
        lengths: Tensor | None = None,
        transform: Callable[[Batch, int], Batch] | None = None,
    ) -> None:
        self.columns = {"x": x, "y": y, "index": index}
        if lengths is not None:
            self.columns["lengths"] = lengths
        self.transform = transform

    def __len__(self) -> int:
        """Count samples, not batches."""
        return len(self.columns["index"])

    def __getitem__(self, wanted: BatchRows) -> Batch:
        """Index one batch.

        Args:
            wanted: Rows of the batch, and the epoch.

        Returns:
            The batch, in the order of the rows.
        """
        batch = Batch(**{name: column[wanted.rows] for name, column in self.columns.items()})
        return self.transform(batch, wanted.epoch) if self.transform else batch


class BatchOrder(Sampler[BatchRows]):
    """The rows of each batch of an epoch.

    The epoch travels with the rows, so that it reaches a data set that lives in other processes, too.

    The order is drawn from the seed and the epoch alone, so it depends neither on the number of workers nor on
    what else draws random numbers, and a resumed training sees the batches an uninterrupted one would have seen.

    Args:
        num_samples: Rows to order.
        batch_size: Rows a batch; the last one may be smaller.
        seed: Seed of the order, or `None` for the rows as they come.
    """

    def __init__(self, num_samples: int, *, batch_size: int, seed: int | None = None) -> None:
        self.num_samples, self.batch_size, self.seed = num_samples, check_batch_size(batch_size), seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each.

        Args:
            epoch: Epoch, counted from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return -(-self.num_samples // self.batch_size)

    def __iter__(self) -> Iterator[BatchRows]:
        """Yield the rows of one batch after the other."""
        rows = np.arange(self.num_samples)
        if self.seed is not None:
            rows = np.random.default_rng((self.seed, self.epoch)).permutation(rows)
        for start in range(0, self.num_samples, self.batch_size):
            yield BatchRows(rows[start : start + self.batch_size].tolist(), self.epoch)


def batch_loader(
    dataset: TensorBatches, *, batch_size: int, seed: int | None = None, num_workers: int = 0
) -> DataLoader[Batch]:
    """Load batches of data that lie in memory.

    Args:
        dataset: Where the batches are indexed.
        batch_size: Samples a batch; the last one may be smaller.
        seed: Seed of the order, or `None` for the samples as they come.
        num_workers: Processes that index; 0 is fastest for data in memory.

    Returns:
        The loader.
    """
    order = BatchOrder(len(dataset), batch_size=batch_size, seed=seed)
    # A loader draws a seed for its workers: from a generator of its own, so that dropout is not shifted by it.
    generator = torch.Generator()
    return DataLoader(dataset, sampler=order, batch_size=None, num_workers=num_workers, generator=generator)
