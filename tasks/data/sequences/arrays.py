"""Sequences of equal or unequal length with names, targets and splits: what every reader of own data returns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.data.ragged import RaggedSequences
from tasks.errors import UserError

Array = np.ndarray[Any, Any]

POSITIONS_AT_ONCE = 2**20
"""How many positions a step over all of them takes at once: long data are not held twice."""


@dataclass(frozen=True)
class Sequences:
    """Sequences in memory, checked; every field has one entry a sequence.

    Attributes:
        x: Sequences `(C, L_i)` of `float32`; NaN where a value is missing.
        names: One name each, no two alike.
        y: Targets as they were read, `(N,)` or `(N, K)`: texts, integers or real numbers; `None` where there are none.
        split: `train`, `val` or `test`, where the data come with splits.
        group: Sequences of one group, such as one patient, stay in one split.
    """

    x: RaggedSequences
    names: tuple[str, ...]
    y: Array | None = None
    split: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Count the sequences."""
        return len(self.names)


def make_sequences(
    x: Any,
    *,
    y: Any = None,
    lengths: Any = None,
    names: Iterable[Any] | None = None,
    split: Iterable[Any] | None = None,
    group: Iterable[Any] | None = None,
    owned: bool = False,
) -> Sequences:
    """Check arrays and make sequences of them.

    Args:
        x: `(N, C, L)`, or `(N, L)` of one channel; with `lengths`, all sequences end to end, `(C, total)` or
            `(total,)`; or a list of arrays `(C, L_i)` or `(L_i,)`.
        y: Targets, one a sequence: `(N,)` of texts, integers or real numbers, or `(N, K)`.
        lengths: Length of each sequence where `x` holds them end to end.
        names: One name a sequence; their numbers, counted from 0, by default.
        split: `train`, `val` or `test` of each sequence.
        group: The group of each sequence.
        owned: Nobody else holds `x`: it is not copied where its layout allows that.

    Raises:
        UserError: If the arrays do not fit each other, or hold something else than numbers.

    Example:
        >>> make_sequences([[1, 2, 3], [4, 5]], y=["a", "b"]).x.lengths
        tensor([3, 2])
    """
    ragged = _make_ragged(x, lengths, owned=owned)
    count = len(ragged)
    if not count:
        raise UserError("x must hold at least 1 sequence, got none")
    columns: dict[str, tuple[str, ...] | None] = {}
    for name, column in (("names", names), ("split", split), ("group", group)):
        columns[name] = None if column is None else tuple(_as_text(value) for value in column)
    targets = None if y is None else _check_targets(y)
    for name, given in (("y", targets), *columns.items()):
        if given is not None and len(given) != count:
            raise UserError(f"{name} must have one entry a sequence, got {len(given)} for {count} sequences")
    if columns["names"] is None:
        columns["names"] = tuple(map(str, range(count)))
    return check_sequences(Sequences(ragged, y=targets, **columns))  # type: ignore[arg-type]


def check_sequences(sequences: Sequences) -> Sequences:
    """Return the sequences; `UserError` if a name comes twice, a split has another name, or a value is infinite."""
    seen: set[str] = set()
    for name in sequences.names:
        if name in seen:
            raise UserError(f"names must differ, got {name!r} twice")
        seen.add(name)
    if others := sorted(set(sequences.split or ()) - {"train", "val", "test"}):
        raise UserError(f"split must be train, val or test, got {others[0]!r}")
    # Some positions at a time: isinf makes a copy.
    if any(part.isinf().any() for part in sequences.x.values.split(POSITIONS_AT_ONCE, dim=-1)):
        places = describe_places(sequences, sequences.x.values.isinf())
        raise UserError(f"x must hold no infinity, got {places}")
    return sequences


def describe_places(sequences: Sequences, marked: Tensor) -> str:
    """Tell how many positions are marked, `(C, total)`, and where the first one is."""
    channel, position = (int(each) for each in marked.nonzero()[0])
    row = int(torch.searchsorted(sequences.x.starts, position, right=True)) - 1
    place = position - int(sequences.x.starts[row])
    return f"{int(marked.sum())}, the first in {sequences.names[row]!r} at channel {channel}, position {place}"


def concatenate(parts: Sequence[Sequences], *, split: Sequence[str]) -> Sequences:
    """Join published splits, each under its name; sequence 3 of the split `test` is named `test[3]`."""
    channels = [part.x.values.shape[0] for part in parts]
    if len(set(channels)) > 1:
        found = " and ".join(f"{count} in {name}" for count, name in zip(channels, split, strict=True))
        raise UserError(f"x must have the same channels in every split, got {found}")
    values = torch.cat([part.x.values for part in parts], dim=-1)
    ragged = RaggedSequences(values, torch.cat([part.x.lengths for part in parts]))
    names = [f"{name}[{row}]" for part, name in zip(parts, split, strict=True) for row in range(len(part))]
    splits = tuple(name for part, name in zip(parts, split, strict=True) for _ in range(len(part)))
    targets = np.concatenate([part.y for part in parts if part.y is not None])
    return Sequences(ragged, tuple(names), y=targets, split=splits)


def rename(sequences: Sequences, names: Iterable[str]) -> Sequences:
    """Return the sequences under other names, which must differ."""
    return check_sequences(replace(sequences, names=tuple(names)))


def hash_contents(sequences: RaggedSequences) -> list[str]:
    """Return a text for each sequence that only sequences of the same values share."""
    return [
        blake2b(repr(tuple(each.shape)).encode() + each.contiguous().numpy().tobytes()).hexdigest()
        for each in sequences
    ]


def _make_ragged(x: Any, lengths: Any, *, owned: bool) -> RaggedSequences:
    if isinstance(x, RaggedSequences):
        return x
    if lengths is None and isinstance(x, list | tuple):
        if not len(x):
            raise UserError("x must hold at least 1 sequence, got none")
        return _join([_as_numbers(each, f"sequence {row} of x") for row, each in enumerate(x)])
    values = _as_numbers(x, "x")
    if lengths is not None:
        counts = np.asarray(lengths)
        if counts.ndim != 1 or counts.dtype.kind not in "iu":
            raise UserError(f"lengths must be (N,) of integers, got {counts.shape} of {counts.dtype}")
        values = values[None] if values.ndim == 1 else values
        if values.ndim != 2:
            raise UserError(f"x must be (C, total) with lengths, got {values.shape}")
        return RaggedSequences(_to_tensor(values, owned=owned), torch.from_numpy(counts.astype(np.int64)))
    if values.ndim == 2:
        values = values[:, None]
    if values.ndim != 3:
        raise UserError(f"x must be (N, C, L), (N, L), or (C, total) with lengths, got {values.shape}")
    if 0 in values.shape[1:]:
        raise UserError(f"sequences must have at least 1 channel and 1 position, got x {values.shape}")
    flat = _to_tensor(values.transpose(1, 0, 2).reshape(values.shape[1], -1), owned=owned)
    return RaggedSequences(flat, torch.full((len(values),), values.shape[2]))


def _join(arrays: list[Array]) -> RaggedSequences:
    arrays = [each[None] if each.ndim == 1 else each for each in arrays]
    channels = arrays[0].shape[0] if arrays[0].ndim == 2 else 0
    for row, each in enumerate(arrays):
        if each.ndim != 2 or not each.size:
            raise UserError(f"sequence {row} of x must be (C, L) or (L,) and not empty, got {each.shape}")
        if each.shape[0] != channels:
            raise UserError(
                f"sequences of x must have the same channels, got {each.shape[0]} in sequence {row} and {channels} in "
                "sequence 0"
            )
    values = _to_tensor(np.concatenate(arrays, axis=1), owned=True)
    return RaggedSequences(values, torch.tensor([each.shape[1] for each in arrays]))


def _as_numbers(value: Any, name: str) -> Array:
    try:
        array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    except ValueError as error:
        raise UserError(f"{name} must be an array of numbers, got lists of different lengths in it") from error
    if array.dtype.kind not in "fiub":
        raise UserError(f"{name} must hold real numbers, got {array.dtype}")
    return array


def _to_tensor(values: Array, *, owned: bool) -> Tensor:
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity, which is refused by name and place
        floats = np.ascontiguousarray(values, dtype=np.float32)
    shared = np.may_share_memory(floats, values) and not (owned and floats.flags.writeable)
    return torch.from_numpy(floats.copy() if shared else floats)


def _check_targets(y: Any) -> Array:
    array = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiubUS":
        raise UserError(f"y must be (N,) or (N, K) of texts or numbers, got {array.shape} of {array.dtype}")
    return array.astype(str) if array.dtype.kind == "S" else array


def _as_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
