"""Data in memory: a batch is indexed at once, in an order that seed and epoch alone decide."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import DataLoader, Dataset, Sampler
from typing_extensions import NotRequired

from tasks.errors import UserError


class Batch(TypedDict):
    """One batch."""

    x: Tensor
    """Inputs, `(B, C, *S)` of `float32`, or ids `(B, L)` of `int64`."""
    y: Tensor
    """Classes `(B,)` of `int64`, or real targets of `float32`."""
    index: Tensor
    """Position of each sample in the whole data set, `(B,)` of `int64`."""
    lengths: NotRequired[Tensor]
    """Filled positions of each sample, `(B,)` of `int64`; absent if all positions of all samples are filled."""


class BatchRows(NamedTuple):
    """The rows of a batch and the epoch: the content of a batch depends on nothing else."""

    rows: list[int]
    epoch: int


class TensorBatches(Dataset[Batch]):
    """A data set whose items are whole batches: `dataset[BatchRows([3, 1, 4], epoch=0)]` holds these three samples.

    Args:
        x: Inputs, `(N, C, *S)`, or ids, `(N, L)`. A list holds samples of different lengths, each `(C, L_i)`, or ids,
            each `(L_i,)`: a batch of them is padded with zeros at the end to its own longest, and has `lengths`.
        y: Targets, `(N, ...)`.
        index: Position of each sample in the whole data set, `(N,)`.
        transform: Called with an indexed batch and the epoch, returns the batch to use: turns bytes into floats, or
            augments. With workers it must be picklable: a function of a module, or a `functools.partial` of one.

    Raises:
        UserError: If the counts of `x`, `y` and `index` differ, or the samples of a list do not fit each other.
    """

    def __init__(
        self,
        *,
        x: Tensor | Sequence[Tensor],
        y: Tensor,
        index: Tensor,
        transform: Callable[[Batch, int], Batch] | None = None,
    ) -> None:
        self.x = x if isinstance(x, Tensor) else list(x)
        self.y, self.index, self.transform = y, index, transform
        self.check()

    def check(self) -> None:
        """Check the attributes, which a data module may replace; `UserError` as above."""
        x, y, index = self.x, self.y, self.index
        samples = x if isinstance(x, list) else [x]
        for name, tensors in {"x": samples, "y": [y], "index": [index]}.items():
            if others := [tensor for tensor in tensors if not isinstance(tensor, Tensor)]:
                raise UserError(f"{name} must hold tensors, got {type(others[0]).__name__}")
        if not len(x) == len(y) == len(index):
            raise UserError(f"x, y and index must have one entry a sample, got {len(x)}, {len(y)} and {len(index)}")
        if isinstance(x, list):
            if any(sample.ndim not in (1, 2) or not sample.shape[-1] for sample in x):
                raise UserError("samples of x must have shape (C, L_i) or (L_i,) and at least 1 position")
            if len(kinds := {(str(sample.dtype), tuple(sample.shape[:-1])) for sample in x}) > 1:
                raise UserError(f"samples of x must be (C, L_i) and differ in length alone, got {sorted(kinds)}")

    def __len__(self) -> int:
        """Count samples, not batches."""
        return len(self.index)

    def __getitem__(self, wanted: BatchRows) -> Batch:
        """Index one batch; its samples have the order of the rows."""
        rows, epoch = wanted
        if isinstance(self.x, Tensor):
            batch = Batch(x=self.x[rows], y=self.y[rows], index=self.index[rows])
        else:
            samples = [self.x[row] for row in rows]
            lengths = [sample.shape[-1] for sample in samples]
            x = torch.stack([pad(sample, (0, max(lengths) - sample.shape[-1])) for sample in samples])
            batch = Batch(x=x, y=self.y[rows], index=self.index[rows], lengths=torch.tensor(lengths))
        return self.transform(batch, epoch) if self.transform else batch


class BatchOrder(Sampler[BatchRows]):
    """The rows of each batch of an epoch.

    Seed and epoch alone decide the order, so the number of workers does not, and a resumed training sees the batches
    of an uninterrupted one. The epoch travels with the rows, so it reaches the data sets of workers.

    Args:
        num_samples: Rows to order.
        batch_size: Rows a batch; the last batch may be smaller.
        seed: Seed of the order, or `None` for ascending rows.
    """

    def __init__(self, num_samples: int, *, batch_size: int, seed: int | None = None) -> None:
        self.num_samples, self.batch_size, self.seed = num_samples, check_batch_size(batch_size), seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0; Lightning calls this before each epoch."""
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
    """Make a loader; `batch_size` and `seed` as of `BatchOrder`.

    Without a transform, data in memory load fastest with `num_workers=0`.
    """
    order = BatchOrder(len(dataset), batch_size=batch_size, seed=seed)
    # A loader draws a seed for its workers. A generator of its own keeps the draws of dropout unchanged.
    generator = torch.Generator()
    return DataLoader(dataset, sampler=order, batch_size=None, num_workers=num_workers, generator=generator)


def check_batch_size(batch_size: int) -> int:
    """Return the batch size; raise `UserError` if it is below 1."""
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, got {batch_size}")
    return batch_size
