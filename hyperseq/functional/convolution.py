"""Convolution with a kernel as long as the signal: through the FFT, and directly for reference.

All functions here are true convolutions (the kernel is flipped), depthwise, in any number of dimensions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from hyperseq._axes import crop, spatial_axes, spatial_size
from hyperseq._checks import check_activations, check_choice, check_rank_matches
from hyperseq.functional._precision import at_least_float32
from hyperseq.functional._sliding_window import slide
from hyperseq.functional.padding import mask_padding

MODES = ("circular", "causal", "same")


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


def convolve_shared(
    kernel: Tensor, signals: Sequence[Tensor], *, mode: str, lengths: Tensor | None = None
) -> list[Tensor]:
    """Convolve several signals with one kernel, whose spectrum is computed once.

    Shapes and modes are those of `fft_conv`. With ``lengths`` (checked, not None), ``circular`` wraps every
    sample around its own length; kernel and signals must then be zero where they are padding.
    """
    size = spatial_size(signals[0])
    if mode == "circular":
        if lengths is None:
            return _multiply_spectra(kernel, signals, size)
        full = _multiply_spectra(kernel, signals, _fast_size(2 * n for n in size))
        return [_fold(linear, lengths, size[0]) for linear in full]
    if mode == "causal":
        kernel = kernel[..., : size[0]]
        starts: tuple[int, ...] = (0,)
    else:
        starts = tuple(k // 2 for k in spatial_size(kernel))
    fft_size = _fast_size(n + k - 1 for n, k in zip(size, spatial_size(kernel), strict=True))
    return [crop(linear, start=starts, size=size) for linear in _multiply_spectra(kernel, signals, fft_size)]


def _multiply_spectra(kernel: Tensor, signals: Sequence[Tensor], fft_size: tuple[int, ...]) -> list[Tensor]:
    """Circular convolution over ``fft_size`` points, which is linear where that leaves room."""
    # half types have no FFT (bfloat16) or only powers of two (float16), and too few digits for a long sum
    full_precision = [at_least_float32(x) for x in (kernel, *signals)]
    with torch.autocast(kernel.device.type, enabled=False):
        results: list[Tensor] = _SpectralProduct.apply(fft_size, *full_precision)  # type: ignore[no-untyped-call]
    return [result.to(x.dtype) for result, x in zip(results, signals, strict=True)]


class _SpectralProduct(torch.autograd.Function):
    """One kernel, several signals: every tensor, and later every gradient, is transformed once.

    Backward correlates in place of convolving, ``conj(k^) g^`` and ``conj(x^) g^``, with real transforms all the way;
    the gradient of torch's ``rfftn`` would take complex ones of twice the size.
    """

    @staticmethod
    def forward(ctx: Any, fft_size: tuple[int, ...], kernel: Tensor, *signals: Tensor) -> tuple[Tensor, ...]:
        convolve = _convolve_as_one if torch.compiler.is_compiling() else _convolve
        results = convolve(kernel, signals, fft_size)
        outputs, conjugates = results[: len(signals)], results[len(signals) :]
        ctx.save_for_backward(kernel, *signals, *conjugates)
        ctx.fft_size = fft_size
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, conjugates = ctx.saved_tensors[: 1 + len(grads)], ctx.saved_tensors[1 + len(grads) :]
        axes, origin = spatial_axes(inputs[0]), [0] * len(ctx.fft_size)
        if torch.is_grad_enabled():
            # differentiated once more: the kept spectra know nothing of where they came from
            conjugates = [torch.fft.rfftn(x, s=ctx.fft_size, dim=axes).conj() for x in inputs]
        correlate = _correlate_as_one if torch.compiler.is_compiling() else _correlate
        results = iter(correlate(conjugates, grads, ctx.fft_size, list(ctx.needs_input_grad[1:])))
        return None, *(
            crop(next(results), start=origin, size=spatial_size(x)) if needed else None
            for x, needed in zip(inputs, ctx.needs_input_grad[1:], strict=True)
        )


def _convolve(kernel: Tensor, signals: Sequence[Tensor], fft_size: Sequence[int]) -> list[Tensor]:
    """Convolve each signal with the kernel; also return the conjugate spectra of the kernel and the signals."""
    axes = spatial_axes(kernel)
    spectra = [torch.fft.rfftn(x, s=fft_size, dim=axes) for x in (kernel, *signals)]
    outputs = [torch.fft.irfftn(spectra[0] * spectrum, s=fft_size, dim=axes) for spectrum in spectra[1:]]
    # backward needs the conjugates only; taking them in place saves it a copy of each
    return outputs + [spectrum.conj_physical_() for spectrum in spectra]


def _correlate(
    conjugates: Sequence[Tensor], grads: Sequence[Tensor], fft_size: Sequence[int], needed: Sequence[bool]
) -> list[Tensor]:
    """Return the gradients of `_convolve`, of the kernel and of the signals, as far as they are needed."""
    axes = spatial_axes(grads[0])
    kernel, *signals = conjugates
    spectra = [torch.fft.rfftn(grad, s=fft_size, dim=axes) for grad in grads]
    results = []
    if needed[0]:
        correlation = signals[0] * spectra[0]
        for signal, grad in zip(signals[1:], spectra[1:], strict=True):
            correlation.addcmul_(signal, grad)
        results.append(correlation.sum(0, keepdim=True) if kernel.shape[0] == 1 else correlation)
    for grad, wanted in zip(spectra, needed[1:], strict=True):
        if wanted:
            # in place where nobody else will read it: a new tensor of this size costs as much as the product
            results.append(kernel * grad if torch.is_grad_enabled() else grad.mul_(kernel))
    return [torch.fft.irfftn(result, s=fft_size, dim=axes) for result in results]


# To a compiler, which cannot fuse complex numbers and copies where they change in place, each is one step.
_convolve_as_one = torch.library.custom_op("hyperseq::convolve", _convolve, mutates_args=())
_correlate_as_one = torch.library.custom_op("hyperseq::correlate", _correlate, mutates_args=())


@_convolve_as_one.register_fake
def _(kernel: Tensor, signals: Sequence[Tensor], fft_size: Sequence[int]) -> list[Tensor]:
    outputs = [x.new_empty(*x.shape[:2], *fft_size) for x in signals]
    half = *fft_size[:-1], fft_size[-1] // 2 + 1
    complex_type = torch.view_as_complex(kernel.new_empty(2)).dtype
    return outputs + [x.new_empty(*x.shape[:2], *half, dtype=complex_type) for x in (kernel, *signals)]


@_correlate_as_one.register_fake
def _(
    conjugates: Sequence[Tensor], grads: Sequence[Tensor], fft_size: Sequence[int], needed: Sequence[bool]
) -> list[Tensor]:
    batches = [x.shape[0] for x, wanted in zip(conjugates, needed, strict=True) if wanted]
    return [grads[0].new_empty(batch, grads[0].shape[1], *fft_size) for batch in batches]


def _fold(linear: Tensor, lengths: Tensor, size: int) -> Tensor:
    """Wrap a linear convolution around each sample's own length: ``y[n] + y[n + length]``."""
    wrapped = torch.arange(size, device=linear.device) + lengths[:, None, None]
    wrapped = wrapped.expand(-1, linear.shape[1], -1)
    return mask_padding(linear[..., :size] + linear.gather(-1, wrapped), lengths)


def _fast_size(least: Iterable[int]) -> tuple[int, ...]:
    return tuple(next_fast_len(n, real=True) for n in least)


def _check_convolution(signal: Tensor, kernel: Tensor, mode: str) -> None:
    check_choice(mode, MODES, name="mode")
    check_activations(signal, name="signal")
    check_rank_matches(kernel, signal, name="kernel", like_name="signal")
    check_mode_rank(mode, spatial_size(signal))
    if mode == "circular" and spatial_size(kernel) != spatial_size(signal):
        raise ValueError(
            f"kernel must be as large as the signal {spatial_size(signal)} in mode 'circular', "
            f"got {spatial_size(kernel)}"
        )


def check_mode_rank(mode: str, size: Sequence[int]) -> None:
    """Refuse a mode that the number of spatial axes, or their sizes, do not allow."""
    if mode == "causal" and len(size) != 1:
        raise ValueError(f"mode must not be 'causal' unless there is one spatial axis, got size {tuple(size)}")
    if mode == "matmul" and (len(size) != 2 or size[0] != size[1]):
        raise ValueError(f"mode must not be 'matmul' unless the size is square with two axes, got size {tuple(size)}")
