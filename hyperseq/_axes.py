"""Helpers that know the axes of a tensor `(batch, channels, *size)`, one entry of `size` per spatial axis."""

from collections.abc import Sequence

from torch import Tensor


def spatial_size(x: Tensor) -> tuple[int, ...]:
    """Return the spatial part of the shape."""
    return tuple(x.shape[2:])


def spatial_axes(x: Tensor) -> tuple[int, ...]:
    """Return the numbers of the spatial axes."""
    return tuple(range(2, x.dim()))


def crop(x: Tensor, *, start: Sequence[int], size: Sequence[int]) -> Tensor:
    """View the box of ``size`` positions that begins at ``start``."""
    for axis, (first, length) in enumerate(zip(start, size, strict=True), start=2):
        x = x.narrow(axis, first, length)
    return x


def over_space(per_channel: Tensor, x: Tensor) -> Tensor:
    """View ``(..., channels)`` so that it broadcasts over the spatial axes of ``x``."""
    return per_channel.reshape(*per_channel.shape, *(1,) * (x.dim() - 2))
