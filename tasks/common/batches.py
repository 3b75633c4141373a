"""Batches of data that lie in memory: whole batches are indexed at once, in an order fixed by seed and epoch."""

from collections.abc import Iterator
from typing import TypedDict

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


class TensorBatches(Dataset[Batch]):
    """A data set whose items are whole batches: `dataset[[3, 1, 4]]` is the batch of these three samples.

    Args:
        x: Inputs, `(N, C, *S)`.
        y: Classes, `(N,)`.
        index: Position of each sample in the whole data set, `(N,)`.
        lengths: Filled positions of each sample, `(N,)`, or `None` when all are full.
    """

    def __init__(self, *, x: Tensor, y: Tensor, index: Tensor, lengths: Tensor | None = None) -> None:
        self.columns = {"x": x, "y": y, "index": index}
        if lengths is not None:
            self.columns["lengths"] = lengths

    def __len__(self) -> int:
        """Count samples, not batches."""
        return len(self.columns["index"])

    def __getitem__(self, rows: list[int]) -> Batch:
        """Index one batch.

        Args:
            rows: Rows of the batch.

        Returns:
            The batch, in the order of `rows`.
        """
        return Batch(**{name: column[rows] for name, column in self.columns.items()})


class BatchOrder(Sampler[list[int]]):
    """The rows of each batch of an epoch.

    The order is drawn from the seed and the epoch alone, so it depends neither on the number of workers nor on
    what else draws random numbers, and a resumed training sees the batches an uninterrupted one would have seen.

    Args:
        num_samples: Rows to order.
        batch_size: Rows a batch; the last one may be smaller.
        seed: Seed of the order, or `None` for the rows as they come.
    """

    def __init__(self, num_samples: int, *, batch_size: int, seed: int | None = None) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
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

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the rows of one batch after the other."""
        rows = np.arange(self.num_samples)
        if self.seed is not None:
            rows = np.random.default_rng((self.seed, self.epoch)).permutation(rows)
        for start in range(0, self.num_samples, self.batch_size):
            yield rows[start : start + self.batch_size].tolist()


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
