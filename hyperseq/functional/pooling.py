"""Means over space that know the true length of every sample."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from hyperseq._axes import spatial_axes, spatial_size
from hyperseq._checks import as_size, check_activations
from hyperseq.functional._numerics import at_least_float32
from hyperseq.functional.padding import Padding, as_padding, mask_padding

STRETCH = 2048


def spatial_mean(x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
    """Average each channel over space, padding left out.

    Args:
        x: ``(B, C, *S)``.
        lengths: Integers ``(B,)`` in 1..S, one spatial axis; None: nothing is padded.

    Returns:
        ``(B, C)``.

    Raises:
        ValueError: If the lengths do not fit.

    Example:
        >>> spatial_mean(torch.tensor([[[1.0, 3.0, 9.0]]]), lengths=torch.tensor([2]))
        tensor([[2.]])
    """
    check_activations(x, name="x")
    padding = as_padding(lengths, x)
    if padding is None:
        # Divide the sums, which are few: the gradient of torch.mean divides at every position.
        return (at_least_float32(x).sum(spatial_axes(x)) / math.prod(spatial_size(x))).to(x.dtype)
    total = mask_padding(at_least_float32(x), padding).sum(-1)
    return (total / padding.lengths[:, None]).to(x.dtype)


def cumulative_mean(x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
    """Average each channel over the positions up to each one: the causal form of `spatial_mean`.

    ``y[t] = (x[0] + ... + x[t]) / (t + 1)``

    Args:
        x: ``(B, C, S)``.
        lengths: Integers ``(B,)`` in 1..S; None: nothing is padded.

    Returns:
        ``(B, C, S)``, zero where padded.

    Raises:
        ValueError: If there is more than one spatial axis, or the lengths do not fit.

    Example:
        >>> cumulative_mean(torch.tensor([[[1.0, 3.0, 8.0]]]))
        tensor([[[1., 2., 4.]]])
    """
    check_activations(x, name="x", num_spatial_dims=1)
    padding = as_padding(lengths, x)
    count = torch.arange(1, x.shape[-1] + 1, device=x.device)
    total = at_least_float32(mask_padding(x, padding)).cumsum(-1)
    return mask_padding((total / count).to(x.dtype), padding)


def adaptive_mean_pool(
    x: Tensor, output_size: int | Sequence[int], *, lengths: Tensor | Padding | None = None
) -> Tensor:
    """Average into a fixed number of bins per axis, whatever the size.

    Bin j of k on an axis of n positions is the mean of positions ``floor(j n / k)`` to ``ceil((j + 1) n / k) - 1``,
    so bins overlap where k does not divide n. With lengths, n is each sample's own length.

    Args:
        x: ``(B, C, *S)``.
        output_size: Number of bins k on each axis; an integer stands for all axes.
        lengths: Integers ``(B,)`` in 1..S, one spatial axis; None: nothing is padded.

    Returns:
        ``(B, C, *output_size)``.

    Raises:
        ValueError: If a size is not positive or the lengths do not fit.

    Example:
        >>> adaptive_mean_pool(torch.tensor([[[1.0, 3.0, 5.0, 7.0]]]), 2)
        tensor([[[2., 6.]]])
    """
    check_activations(x, name="x")
    bins = as_size(output_size, x.dim() - 2, name="output_size")
    padding = as_padding(lengths, x)
    dtype, x = x.dtype, at_least_float32(x)
    if padding is not None:
        weights = _bin_weights(padding.lengths[:, None, None], x.shape[2], bins[0], x)
        return _weighted_sum(mask_padding(x, padding), weights).to(dtype)
    # One product with a thin matrix for each axis, for every rank. The gradient is a product too.
    for axis, (n, k) in enumerate(zip(spatial_size(x), bins, strict=True), start=2):
        weights = _bin_weights(n, n, k, x)
        x = _weighted_sum(x.movedim(axis, -1), weights).movedim(-1, axis)
    return x.to(dtype)


def _weighted_sum(x: Tensor, weights: Tensor) -> Tensor:
    """Sum ``(..., S)`` with ``(..., S, k)`` to ``(..., k)``, in stretches: one long float32 sum would lose digits."""
    size = x.shape[-1]
    if size <= STRETCH:
        return torch.matmul(x, weights)
    if torch.compiler.is_compiling():
        # The number of stretches is part of a shape here, so that one program serves all sizes.
        count = (size + STRETCH - 1) // STRETCH
        missing = count * STRETCH - size
        parts = pad(x, (0, missing)).unflatten(-1, (count, STRETCH)).movedim(-2, 0)  # type: ignore[no-untyped-call]
        shares = pad(weights, (0, 0, 0, missing)).unflatten(-2, (count, STRETCH)).movedim(-3, 0)  # type: ignore[no-untyped-call]
        if weights.dim() < x.dim():
            shares = shares.reshape(count, *(1,) * (x.dim() - weights.dim()), *shares.shape[1:])
        return torch.matmul(parts, shares).sum(0)
    stretches = zip(torch.split(x, STRETCH, dim=-1), torch.split(weights, STRETCH, dim=-2), strict=True)
    return torch.stack([torch.matmul(part, share) for part, share in stretches]).sum(0)


def _bin_weights(length: Tensor | int, size: int, num_bins: int, like: Tensor) -> Tensor:
    """Return ``(..., size, num_bins)``: the share of each position in the mean of each bin."""
    position = torch.arange(size, device=like.device)[:, None]
    index = torch.arange(num_bins, device=like.device)
    start = (index * length).div(num_bins, rounding_mode="floor")
    stop = ((index + 1) * length + num_bins - 1).div(num_bins, rounding_mode="floor")
    inside = (position >= start) & (position < stop)
    return inside.to(like.dtype) / (stop - start)
