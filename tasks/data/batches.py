"""Data in memory: a batch is indexed at once, in an order that seed and epoch alone decide."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler
from typing_extensions import NotRequired

from tasks.data.ragged import RaggedSequences
from tasks.errors import UserError

LENGTH_JITTER = 0.05
"""Share of a length by which bucketed batches mix neighbors: batches differ from epoch to epoch."""


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
    rate: NotRequired[float]
    """Step of the positions relative to training: 2.0 means every second sample; absent for 1."""


class BatchRows(NamedTuple):
    """The rows of a batch and the epoch: the content of a batch depends on nothing else."""

    rows: list[int]
    epoch: int


class TensorBatches(Dataset[Batch]):
    """A data set whose items are whole batches: `dataset[BatchRows([3, 1, 4], epoch=0)]` holds these three samples.

    Args:
        x: Inputs, `(N, C, *S)`, or ids, `(N, L)`. `RaggedSequences` or a list hold samples of different lengths, each
            `(C, L_i)`, or ids, each `(L_i,)`: a batch of them is padded with zeros at the end to its own longest, and
            has `lengths`. `RaggedSequences` lie in one tensor that splits share.
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
        self.x = x if isinstance(x, Tensor | RaggedSequences) else list(x)
        self.y, self.index, self.transform = y, index, transform
        self.check()

    def check(self) -> None:
        """Check the attributes, which a data module may replace; `UserError` as above."""
        x, y, index = self.x, self.y, self.index
        samples = x if isinstance(x, list) else [x.values if isinstance(x, RaggedSequences) else x]
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

    @property
    def lengths(self) -> Tensor | None:
        """Length of each sample, `(N,)`; `None` where all samples have one length."""
        if isinstance(self.x, Tensor):
            return None
        if isinstance(self.x, RaggedSequences):
            return self.x.lengths
        return torch.tensor([sample.shape[-1] for sample in self.x])

    def __getitem__(self, wanted: BatchRows) -> Batch:
        """Index one batch; its samples have the order of the rows."""
        rows, epoch = wanted
        if isinstance(self.x, Tensor):
            batch = Batch(x=self.x[rows], y=self.y[rows], index=self.index[rows])
        else:
            x, lengths = pad_to_longest([self.x[row] for row in rows])
            batch = Batch(x=x, y=self.y[rows], index=self.index[rows], lengths=lengths)
        return self.transform(batch, epoch) if self.transform else batch


class BatchOrder(Sampler[BatchRows]):
    """The rows of each batch of an epoch.

    Seed and epoch alone decide the order, so the number of workers does not, and a resumed training sees the batches
    of an uninterrupted one. The epoch travels with the rows, so it reaches the data sets of workers.

    Of several processes that train together (torch.distributed), each takes its share of every batch: together they see
    the batches of one process.

    With `lengths`, samples of like length share a batch, which leaves little padding. With a seed, each length is first
    scaled by a random factor of up to `1 + LENGTH_JITTER`, so that batches differ from epoch to epoch, and the batches
    come in random order.

    Args:
        num_samples: Rows to order.
        batch_size: Rows a batch; the last batch may be smaller.
        seed: Seed of the order, or `None` for ascending rows.
        lengths: Length of each sample, `(num_samples,)`, for bucketed batches; `None` for plain ones.
    """

    def __init__(
        self, num_samples: int, *, batch_size: int, seed: int | None = None, lengths: Tensor | None = None
    ) -> None:
        self.num_samples, self.batch_size, self.seed = num_samples, check_batch_size(batch_size), seed
        self.lengths = None if lengths is None else lengths.numpy()
        if self.lengths is not None and self.lengths.shape != (num_samples,):
            raise UserError(f"lengths must have one entry a sample, ({num_samples},), got {self.lengths.shape}")
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0; Lightning calls this before each epoch."""
        self.epoch = epoch

    def check_shares(self, num_processes: int) -> None:
        """Check that each process has a sample of every training batch.

        Raises:
            UserError: If the last batch of an epoch has fewer.
        """
        last = self.num_samples % self.batch_size or self.batch_size
        if self.seed is not None and min(last, self.num_samples) < num_processes:
            raise UserError(
                f"batch_size must leave the last batch of an epoch one sample for each of {num_processes} processes, "
                f"got {self.batch_size}, which leaves {last} of {self.num_samples}"
            )

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return -(-self.num_samples // self.batch_size)

    def __iter__(self) -> Iterator[BatchRows]:
        """Yield the rows of one batch after the other, of several processes those that belong to this one."""
        rank, num_processes = find_process()
        self.check_shares(num_processes)
        rows, starts = np.arange(self.num_samples), np.arange(0, self.num_samples, self.batch_size)
        random = None if self.seed is None else np.random.default_rng((self.seed, self.epoch))
        if random is not None:
            rows = random.permutation(rows)
        if self.lengths is not None:
            keys = self.lengths[rows]
            if random is not None:
                keys = keys * random.uniform(1, 1 + LENGTH_JITTER, size=len(rows))
                starts = random.permutation(starts)
            rows = rows[np.argsort(keys, kind="stable")]
        for start in starts:
            batch = rows[start : start + self.batch_size]
            # All processes come to the same number of batches. In evaluation a process without a share of the last one
            # repeats a sample; predictions are joined by sample, so that it counts once.
            yield BatchRows((batch[rank::num_processes] if rank < len(batch) else batch[:1]).tolist(), self.epoch)


def find_process() -> tuple[int, int]:
    """Return the number of this process and how many train together; 0 and 1 for a process alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def pad_to_longest(samples: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack samples `(C, L_i)` or `(L_i,)`, with zeros after each to the longest; return the batch and the lengths."""
    lengths = torch.tensor([sample.shape[-1] for sample in samples])
    batch = samples[0].new_zeros(len(samples), *samples[0].shape[:-1], int(lengths.max()))
    for row, sample in zip(batch, samples, strict=True):
        row[..., : sample.shape[-1]] = sample
    return batch, lengths


def padding_share(order: BatchOrder, lengths: Tensor) -> float:
    """Return the share of the positions of an epoch's batches that are padding, from 0 to 1."""
    batches = [lengths[wanted.rows] for wanted in order]
    return 1 - float(lengths.sum()) / sum(int(batch.max()) * len(batch) for batch in batches)


def batch_loader(
    dataset: TensorBatches,
    *,
    batch_size: int,
    seed: int | None = None,
    num_workers: int = 0,
    bucket_by_length: bool = False,
) -> DataLoader[Batch]:
    """Make a loader; `batch_size` and `seed` as of `BatchOrder`.

    With `bucket_by_length`, samples of like length share a batch; samples of one length are in plain order either way.
    Without a transform, data in memory load fastest with `num_workers=0`.
    """
    lengths = dataset.lengths if bucket_by_length else None
    order = BatchOrder(len(dataset), batch_size=batch_size, seed=seed, lengths=lengths)
    # A loader draws a seed for its workers. A generator of its own keeps the draws of dropout unchanged.
    generator = torch.Generator()
    return DataLoader(dataset, sampler=order, batch_size=None, num_workers=num_workers, generator=generator)


def check_batch_size(batch_size: int) -> int:
    """Return the batch size; raise `UserError` if it is below 1."""
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, got {batch_size}")
    return batch_size
