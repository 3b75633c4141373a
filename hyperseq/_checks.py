"""Argument checks: each names the argument, the rule and the value found."""

import math
import operator
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from hyperseq._axes import spatial_size

_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def as_size(value: int | Sequence[int], num_spatial_dims: int, *, name: str) -> tuple[int, ...]:
    """Return one positive extent per spatial axis; a single integer stands for all axes."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * num_spatial_dims
    if len(values) != num_spatial_dims:
        raise ValueError(f"{name} must have {num_spatial_dims} entries, one per spatial axis, got {values}")
    if not all(is_integer(extent) and _as_int(extent) >= 1 for extent in values):
        raise ValueError(f"{name} must hold integers of at least 1, got {values}")
    return tuple(_as_int(extent) for extent in values)


def is_integer(value: object) -> bool:
    """Say whether ``value`` is an integer: what Python takes as an index, or a symbolic size of an export; no bool."""
    if isinstance(value, (bool, Tensor)):
        return False
    # the known types first: torch.compile cannot trace hasattr on a symbolic size
    return isinstance(value, (int, torch.SymInt)) or hasattr(value, "__index__")


def _as_int(value: int) -> int:
    # a conversion would fix the symbolic size of an export to the size of the example
    return value if isinstance(value, (int, torch.SymInt)) else operator.index(value)


def check_count(value: int, *, name: str, at_least: int = 1) -> int:
    """Return ``value`` if it is an integer of at least ``at_least``."""
    if not is_integer(value) or _as_int(value) < at_least:
        raise ValueError(f"{name} must be an integer of at least {at_least}, got {value!r}")
    return _as_int(value)


def is_finite(value: object) -> bool:
    """Say whether ``value`` is a finite real number."""
    # comparisons, because torch.compile cannot trace math.isfinite on a symbolic number
    return _is_number(value) and -math.inf < value < math.inf  # type: ignore[operator]


def check_positive(value: float, *, name: str) -> None:
    """Refuse what is not a finite number above 0."""
    if not is_finite(value) or not value > 0:
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_at_least_zero(value: float, *, name: str) -> None:
    """Refuse what is not a finite number of at least 0."""
    if not is_finite(value) or not value >= 0:
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")


def check_fraction(value: float, *, name: str) -> None:
    """Refuse what is not a number in 0..1, 1 excluded."""
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} must lie in 0..1, 1 excluded, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (Real, torch.SymFloat, torch.SymInt)) and not isinstance(value, bool)


def check_choice(value: str, choices: Sequence[str], *, name: str) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_floating(x: Tensor, *, name: str) -> None:
    """Refuse what is no tensor of a floating-point type: integers would be truncated without a word."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.dtype not in _FLOATING:
        raise ValueError(f"{name} must be float16, bfloat16, float32 or float64, got {x.dtype}")


def check_shape(x: Tensor, shape: Sequence[int], *, name: str, meaning: str) -> None:
    """Refuse what is no floating-point tensor of exactly this shape."""
    check_floating(x, name=name)
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, {meaning}, got {tuple(x.shape)}")


def check_activations(
    x: Tensor, *, name: str, num_spatial_dims: int | None = None, channels: int | None = None
) -> None:
    """Refuse what is no tensor ``(batch, channels, *size)`` with the given rank and channel count."""
    check_floating(x, name=name)
    shape = tuple(x.shape)
    if num_spatial_dims is None:
        if x.dim() < 3:
            raise ValueError(f"{name} must be (batch, channels, *size) with a spatial axis, got shape {shape}")
    elif x.dim() != 2 + num_spatial_dims:
        raise ValueError(
            f"{name} must be (batch, channels, *size) with {num_spatial_dims} spatial axes, got shape {shape}"
        )
    if channels is not None and shape[1] != channels:
        raise ValueError(f"{name} must have {channels} channels, got shape {shape}")
    if x.numel() == 0:
        raise ValueError(f"{name} must not have an empty axis, got shape {shape}")


def check_causal(causal: bool, x: Tensor) -> None:
    """Refuse the causal form for anything but sequences: no order of time is defined on two axes."""
    if causal and x.dim() != 3:
        raise ValueError(f"causal must be False unless there is one spatial axis, got x of shape {tuple(x.shape)}")


def check_causal_rank(causal: bool, num_spatial_dims: int) -> None:
    """Refuse, at construction, a causal layer with more than one spatial axis."""
    if causal and num_spatial_dims != 1:
        raise ValueError(f"causal must be False unless num_spatial_dims is 1, got num_spatial_dims {num_spatial_dims}")


def _is_one_or(value: int, other: int) -> bool:
    # torch.compile cannot trace `value in (1, other)` for symbolic sizes
    return value == 1 or value == other


def check_rank_matches(x: Tensor, like: Tensor, *, name: str, like_name: str) -> None:
    """Refuse a tensor whose rank or channels differ from those of ``like``, or whose batch is not 1 or the same."""
    check_floating(x, name=name)
    same = x.dim() == like.dim() and x.shape[1] == like.shape[1] and _is_one_or(x.shape[0], like.shape[0])
    if not same or x.numel() == 0:
        raise ValueError(
            f"{name} must be (batch or 1, channels, *size) with the rank and channels of {like_name} "
            f"{tuple(like.shape)}, got shape {tuple(x.shape)}"
        )


def check_same_size(x: Tensor, like: Tensor, *, name: str, like_name: str) -> None:
    """Refuse a tensor that does not fit ``like``, spatial size included."""
    check_rank_matches(x, like, name=name, like_name=like_name)
    if spatial_size(x) != spatial_size(like):
        raise ValueError(
            f"{name} must have the spatial size {spatial_size(like)} of {like_name}, got {spatial_size(x)}"
        )


def check_same_batch(x: Tensor, like: Tensor, *, name: str, like_name: str) -> None:
    """Refuse a tensor that has not the shape of ``like``, batch included."""
    check_same_size(x, like, name=name, like_name=like_name)
    if x.shape[0] != like.shape[0]:
        raise ValueError(f"{name} must have the batch {like.shape[0]} of {like_name}, got {x.shape[0]}")
