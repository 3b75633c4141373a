"""Convolution with a kernel as long as the signal: through the FFT, and directly for reference.

All functions here are true convolutions (the kernel is flipped), depthwise, in any number of dimensions.
"""

import torch
from torch import Tensor

from hyperseq._axes import spatial_axes, spatial_size
from hyperseq._checks import check_activations, check_choice, check_rank_matches
from hyperseq.functional._convolution import CONVOLUTION_MODES, check_mode_rank, convolve_shared
from hyperseq.functional._sliding_window import slide


def fft_conv(signal: Tensor, kernel: Tensor, *, mode: str) -> Tensor:
    """Convolve every channel with its kernel through the FFT, in O(N log N).

    - ``circular``: ``y[n] = sum_m k[m] x[(n - m) mod S]``, the kernel as large as the signal.
    - ``causal`` (one spatial axis): ``y[n] = sum_{m <= n} k[m] x[n - m]``.
    - ``same``: ``y[n] = sum_m k[m] x[n - m + floor(k / 2)]`` with zeros outside.

    The transforms run in float32 (float64 for float64), whatever the input type and autocast say.

    Args:
        signal: ``(B, C, *S)``.
        kernel: ``(B or 1, C, *k)``; broadcasts over the batch.
        mode: ``circular``, ``causal`` or ``same``.

    Returns:
        ``(B, C, *S)`` in the type of the signal.

    Raises:
        ValueError: If the shapes do not fit, or the mode is unknown or not allowed for the rank.

    Example:
        >>> signal, kernel = torch.randn(2, 3, 101), torch.randn(1, 3, 101)
        >>> fft_conv(signal, kernel, mode="causal").shape
        torch.Size([2, 3, 101])
    """
    _check_convolution(signal, kernel, mode)
    return convolve_shared(kernel, [signal], mode=mode)[0]


def direct_conv(signal: Tensor, kernel: Tensor, *, mode: str) -> Tensor:
    """Convolve as `fft_conv` does, but by the sum itself, in O(N k).

    The plain form of the definition, without the rounding of a transform: for small kernels and for checking.

    Args:
        signal: ``(B, C, *S)``.
        kernel: ``(B or 1, C, *k)``; broadcasts over the batch.
        mode: ``circular``, ``causal`` or ``same``.

    Returns:
        ``(B, C, *S)`` in the type of the signal.

    Raises:
        ValueError: If the shapes do not fit, or the mode is unknown or not allowed for the rank.

    Example:
        >>> signal, kernel = torch.randn(2, 3, 8, 9), torch.randn(1, 3, 3, 5)
        >>> direct_conv(signal, kernel, mode="same").shape
        torch.Size([2, 3, 8, 9])
    """
    _check_convolution(signal, kernel, mode)
    flipped = kernel.flip(spatial_axes(kernel))
    none = [0] * (signal.dim() - 2)
    if mode == "circular":
        wrapped = signal
        for axis in spatial_axes(signal):
            wrapped = torch.cat([wrapped.narrow(axis, 1, signal.shape[axis] - 1), wrapped], dim=axis)
        return slide(wrapped, flipped, before=none, after=none)
    if mode == "causal":
        return slide(signal, flipped, before=[kernel.shape[-1] - 1], after=none)
    after = [k // 2 for k in spatial_size(kernel)]
    return slide(signal, flipped, before=[k - 1 - k // 2 for k in spatial_size(kernel)], after=after)


def _check_convolution(signal: Tensor, kernel: Tensor, mode: str) -> None:
    check_choice(mode, CONVOLUTION_MODES, name="mode")
    check_activations(signal, name="signal")
    check_rank_matches(kernel, signal, name="kernel", like_name="signal")
    check_mode_rank(mode, spatial_size(signal))
    if mode == "circular" and spatial_size(kernel) != spatial_size(signal):
        raise ValueError(
            f"kernel must be as large as the signal {spatial_size(signal)} in mode 'circular', "
            f"got {spatial_size(kernel)}"
        )
