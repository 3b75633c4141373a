"""Sequences of different lengths in one flat tensor: no memory is spent on padding."""

from collections.abc import Iterator, Sequence
from typing import overload

import torch
from torch import Tensor

from tasks.errors import UserError


class RaggedSequences(Sequence[Tensor]):
    """Sequences end to end in one tensor; item `i` is a view `(C, L_i)`, or `(L_i,)` of ids.

    Args:
        values: All sequences end to end, `(C, total)`, or ids, `(total,)`.
        lengths: Length of each sequence, `(N,)` of `int64`.

    Attributes:
        values: As given; `select` shares it.
        starts: Position in `values` at which each sequence begins, `(N,)`.
        lengths: As given.

    Raises:
        UserError: If a length is below 1, or the lengths do not sum to the positions of `values`.

    Example:
        >>> sequences = RaggedSequences(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1, 2]))
        >>> sequences[1]
        tensor([[2., 3.]])
    """

    def __init__(self, values: Tensor, lengths: Tensor) -> None:
        if values.ndim not in (1, 2) or lengths.dtype != torch.int64 or lengths.ndim != 1:
            found = f"{tuple(values.shape)} and {tuple(lengths.shape)} of {str(lengths.dtype).removeprefix('torch.')}"
            raise UserError(f"values must be (C, total) or (total,) and lengths (N,) of int64, got {found}")
        if len(lengths) and (shortest := int(lengths.min())) < 1:
            raise UserError(f"lengths must be at least 1, got {shortest} at sequence {int(lengths.argmin())}")
        if (total := int(lengths.sum())) != values.shape[-1]:
            raise UserError(f"lengths must sum to the positions of values, got {total} for {values.shape[-1]}")
        self.values, self.lengths = values, lengths
        self.starts = lengths.cumsum(0) - lengths

    @classmethod
    def join(cls, sequences: Sequence[Tensor]) -> "RaggedSequences":
        """Copy sequences `(C, L_i)` or `(L_i,)` into one tensor."""
        return cls(torch.cat(list(sequences), dim=-1), torch.tensor([each.shape[-1] for each in sequences]))

    def select(self, rows: Tensor | Sequence[int]) -> "RaggedSequences":
        """Return some of the sequences, in the order of `rows`; they share the values, so nothing is copied."""
        chosen = object.__new__(RaggedSequences)
        index = torch.as_tensor(rows, dtype=torch.int64)
        chosen.values, chosen.starts, chosen.lengths = self.values, self.starts[index], self.lengths[index]
        return chosen

    def __len__(self) -> int:
        """Count the sequences."""
        return len(self.lengths)

    @overload
    def __getitem__(self, row: int) -> Tensor: ...
    @overload
    def __getitem__(self, row: slice) -> "RaggedSequences": ...
    def __getitem__(self, row: int | slice) -> "Tensor | RaggedSequences":
        """Return a view of one sequence, or a slice of the sequences."""
        if isinstance(row, slice):
            return self.select(range(*row.indices(len(self))))
        start = int(self.starts[row])
        return self.values[..., start : start + int(self.lengths[row])]

    def __iter__(self) -> Iterator[Tensor]:
        """Yield a view of each sequence."""
        return (self[row] for row in range(len(self)))
