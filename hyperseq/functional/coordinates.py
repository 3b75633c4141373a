"""Coordinates at which a slow network is read."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hyperseq._checks import as_size, check_positive, is_finite


def coordinate_grid(
    size: int | Sequence[int],
    *,
    extent: int | Sequence[int] | None = None,
    rate: float = 1.0,
    start: float | Sequence[float] = 0.0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the coordinates of a regular grid, one per axis and position.

    ``c(p) = -1 + 2 (start + rate p) / (extent - 1)``, and 0 on an axis of extent 1. The extent is that of
    training and does not follow ``size``, so a shorter grid is the prefix of a longer one, and a grid at rate r
    is every r-th position of the grid at rate 1.

    Args:
        size: Number of positions on each axis; an integer means one axis.
        extent: Positions on each axis between -1 and 1 (the training size). Default: ``size``.
        rate: Step relative to training, in training positions (2.0 = every second sample). Above 0.
        start: First position, in training positions; a number stands for all axes.
        dtype: Type of the result. Default: torch's default type.
        device: Device of the result.

    Returns:
        Coordinates ``(d, *size)`` where d is the number of axes.

    Raises:
        ValueError: If a size is no positive integer, the rate no finite number above 0, a start no finite number, or
            the type not floating.

    Example:
        >>> coordinate_grid(3)
        tensor([[-1.,  0.,  1.]])
        >>> coordinate_grid(2, extent=5, rate=2.0)
        tensor([[-1.,  0.]])
    """
    num_axes = len(size) if isinstance(size, Sequence) else 1
    positions = as_size(size, num_axes, name="size")
    extents = positions if extent is None else as_size(extent, num_axes, name="extent")
    check_positive(rate, name="rate")
    starts = _as_starts(start, num_axes)
    if dtype is not None and not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type, got {dtype}")
    # float64 until the end: float32 cannot tell neighbors apart on axes of a few million positions
    axes = [
        2 * (first + rate * torch.arange(n, dtype=torch.float64, device=device)) / (full - 1) - 1
        if full > 1
        else torch.zeros(n, dtype=torch.float64, device=device)
        for n, full, first in zip(positions, extents, starts, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return grid.to(torch.get_default_dtype() if dtype is None else dtype)


def _as_starts(start: float | Sequence[float], num_axes: int) -> list[float]:
    starts = list(start) if isinstance(start, Sequence) else [start] * num_axes
    if len(starts) != num_axes or not all(is_finite(first) for first in starts):
        raise ValueError(f"start must be one finite number, or one per axis ({num_axes}), got {start!r}")
    return starts
