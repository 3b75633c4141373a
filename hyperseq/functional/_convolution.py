"""FFT convolution of several signals with one kernel, and the fast weights of the global operator."""

from collections.abc import Sequence
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from hyperseq._axes import crop, spatial_axes, spatial_size
from hyperseq.functional._matrix_convolution import convolve_by_matrices
from hyperseq.functional._numerics import (
    at_least_float32,
    is_exported_to_onnx,
    is_transformed,
    refuse_forward_mode,
    without_autocast,
)
from hyperseq.functional._sliding_window import convolve_groups
from hyperseq.functional.padding import Padding, mask_padding

CONVOLUTION_MODES = ("circular", "causal", "same")
OPERATOR_MODES = ("circular", "causal", "matmul", "product")


def check_mode_rank(mode: str, size: Sequence[int]) -> None:
    """Refuse a mode that the number of spatial axes, or their sizes, do not allow."""
    if mode == "causal" and len(size) != 1:
        raise ValueError(f"mode must not be 'causal' unless there is one spatial axis, got size {tuple(size)}")
    if mode == "matmul" and (len(size) != 2 or size[0] != size[1]):
        raise ValueError(f"mode must not be 'matmul' unless the size is square with two axes, got size {tuple(size)}")


def check_exact(exact: bool, mode: str) -> None:
    """Refuse the exact sum for modes in which nothing must be zero."""
    if exact and mode != "causal":
        raise ValueError(f"exact must be False unless mode is 'causal', got mode {mode!r}")


def apply_fast_weights(
    fast_weights: Tensor, values: Sequence[Tensor], *, mode: str, padding: Padding | None, exact: bool = False
) -> list[Tensor]:
    """Apply W to several values, all checked and zero at padding (see `hyperseq.functional.global_hyperzzw`)."""
    if mode == "product":
        return [(fast_weights * value).to(value.dtype) for value in values]
    if mode == "matmul":
        return [torch.matmul(fast_weights, value.to(fast_weights.dtype)).to(value.dtype) for value in values]
    if exact:
        return [mask_padding(value, padding) for value in convolve_in_blocks(fast_weights, values)]
    return convolve_shared(fast_weights, values, mode=mode, padding=padding)


def convolve_in_blocks(kernel: Tensor, signals: Sequence[Tensor], *, block: int = 32) -> list[Tensor]:
    """Convolve causally by matrix products of blocks, in O(S^2): what must be zero is zero, to the last bit.

    The Toeplitz matrix of the kernel is cut into square blocks. All blocks on one diagonal are the same matrix, and the
    main diagonal has zeros above it.

    Args:
        kernel: ``(B or 1, C, S)``.
        signals: Several ``(B, C, S)``.
        block: Rows of a block.

    Returns:
        One ``(B, C, S)`` for each signal, in its type.
    """
    size = signals[0].shape[-1]
    if torch.compiler.is_compiling():
        # The loop below would be another program for each number of blocks. This convolution is slower and as exact.
        newest_last = at_least_float32(kernel).flip(-1)
        sums = [convolve_groups(at_least_float32(x), newest_last.expand(x.shape), [size - 1], [0]) for x in signals]
        return [total.view_as(x).to(x.dtype) for total, x in zip(sums, signals, strict=True)]
    count = (size + block - 1) // block
    with without_autocast(kernel.device):
        # (B, C, block, signal and column): all signals pass the same matrices
        wide = torch.stack([at_least_float32(x) for x in signals], dim=2)
        columns = pad(wide, (0, count * block - size)).reshape(*wide.shape[:-1], count, block).movedim(-1, 2)
        taps = pad(at_least_float32(kernel), (block - 1, count * block - size))
        row = torch.arange(block, device=kernel.device)
        offsets = row[:, None] - row + block - 1
        total = torch.zeros_like(columns)
        for diagonal in range(count):
            matrix = taps[..., diagonal * block + offsets]
            reached = columns[..., : count - diagonal]
            part = torch.matmul(matrix, reached.flatten(3)).reshape(*columns.shape[:3], *reached.shape[3:])
            total = total + pad(part, (diagonal, 0))
    results = total.movedim(2, -1).flatten(-2)[..., :size].unbind(2)
    return [result.to(x.dtype) for result, x in zip(results, signals, strict=True)]


def convolve_shared(
    kernel: Tensor, signals: Sequence[Tensor], *, mode: str, padding: Padding | None = None
) -> list[Tensor]:
    """Convolve several signals with one kernel. The spectrum of the kernel is computed once.

    Shapes and modes are those of `hyperseq.functional.fft_conv`. With padding, ``circular`` wraps each sample around
    its own length; kernel and signals must be zero at the padding, and the results are.
    """
    size = spatial_size(signals[0])
    origin = (0,) * len(size)
    if mode == "circular":
        if padding is None:
            return _multiply_spectra(kernel, signals, min_size=size, round_up=False, start=origin, size=size)
        double = tuple(2 * n for n in size)
        linear = _multiply_spectra(kernel, signals, min_size=double, round_up=True, start=origin, size=double)
        return [_fold(full, padding, size[0]) for full in linear]
    start = origin
    if mode == "causal":
        kernel = kernel[..., : size[0]]
    else:
        start = tuple(k // 2 for k in spatial_size(kernel))
    min_size = tuple(n + k - 1 for n, k in zip(size, spatial_size(kernel), strict=True))
    results = _multiply_spectra(kernel, signals, min_size=min_size, round_up=True, start=start, size=size)
    return [mask_padding(result, padding) for result in results]


def _fold(linear: Tensor, padding: Padding, size: int) -> Tensor:
    """Wrap a linear convolution around the length of each sample: ``y[n] + y[n + length]``."""
    wrapped = torch.arange(size, device=linear.device) + padding.lengths[:, None, None]
    wrapped = wrapped.expand(-1, linear.shape[1], -1)
    return mask_padding(linear[..., :size] + linear.gather(-1, wrapped), padding)


def _multiply_spectra(
    kernel: Tensor,
    signals: Sequence[Tensor],
    *,
    min_size: tuple[int, ...],
    round_up: bool,
    start: tuple[int, ...],
    size: tuple[int, ...],
) -> list[Tensor]:
    """Convolve circularly over ``min_size`` points, and return the box of ``size`` at ``start``.

    With ``round_up``, over the next larger size whose FFT is fast. The convolution is linear where kernel and signal
    together leave room.
    """
    # bfloat16 has no FFT, float16 has powers of two alone, and both have too few digits for a long sum
    wide, *wide_signals = [at_least_float32(x) for x in (kernel, *signals)]
    with without_autocast(kernel.device):
        if is_transformed():
            fft_size = _fft_size(min_size, round_up)
            spectrum = _transform(wide, fft_size)
            products = [spectrum * _transform(signal, fft_size) for signal in wide_signals]
            results = [crop(_invert(product, fft_size), start=start, size=size) for product in products]
        elif torch.compiler.is_compiling():
            convolve = convolve_by_matrices if is_exported_to_onnx() else convolve_op
            results = convolve(wide, wide_signals, min_size, round_up, start, size)
        else:
            fft_size = _fft_size(min_size, round_up)
            full = _SpectralProduct.apply(fft_size, wide, *wide_signals)  # type: ignore[no-untyped-call]
            results = [crop(result, start=start, size=size) for result in full]
    return [result.to(x.dtype) for result, x in zip(results, signals, strict=True)]


def _fft_size(min_size: Sequence[int], round_up: bool) -> tuple[int, ...]:
    return tuple(next_fast_len(n, real=True) if round_up else n for n in min_size)


def _transform(x: Tensor, fft_size: Sequence[int]) -> Tensor:
    return torch.fft.rfftn(x, s=fft_size, dim=spatial_axes(x))


def _invert(spectrum: Tensor, fft_size: Sequence[int]) -> Tensor:
    return torch.fft.irfftn(spectrum, s=fft_size, dim=spatial_axes(spectrum))


class _SpectralProduct(torch.autograd.Function):
    """One kernel, several signals. Forward transforms each tensor once, and backward transforms each gradient once.

    Backward correlates: ``conj(k^) g^`` and ``conj(x^) g^``, by real transforms. The gradient of torch's ``rfftn``
    would take complex transforms of twice the size.
    """

    @staticmethod
    def forward(ctx: Any, fft_size: tuple[int, ...], kernel: Tensor, *signals: Tensor) -> tuple[Tensor, ...]:
        spectrum, *others = [_transform(x, fft_size) for x in (kernel, *signals)]
        outputs = [_invert(spectrum * other, fft_size) for other in others]
        # Backward reads the conjugates alone. Conjugating in place saves a copy of each spectrum.
        ctx.save_for_backward(kernel, *signals, *(x.conj_physical_() for x in (spectrum, *others)))
        ctx.fft_size = fft_size
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        # read once: activation checkpointing allows no second time
        saved = ctx.saved_tensors
        inputs, conjugates = saved[: 1 + len(grads)], saved[1 + len(grads) :]
        if torch.is_grad_enabled():
            # Double backward: the saved spectra carry no graph, so compute them again from the inputs.
            conjugates = [_transform(x, ctx.fft_size).conj() for x in inputs]
        needed = ctx.needs_input_grad[1:]
        results = iter(_correlate(conjugates, grads, ctx.fft_size, needed))
        return None, *(
            crop(next(results), start=[0] * len(ctx.fft_size), size=spatial_size(x)) if wanted else None
            for x, wanted in zip(inputs, needed, strict=True)
        )


def _correlate(
    conjugates: Sequence[Tensor], grads: Sequence[Tensor], fft_size: Sequence[int], needed: Sequence[bool]
) -> list[Tensor]:
    """Return those gradients that are needed, of the kernel and of the signals, over all points of the transform."""
    kernel, *signals = conjugates
    spectra = [_transform(grad, fft_size) for grad in grads]
    results = []
    if needed[0]:
        correlation = signals[0] * spectra[0]
        for signal, grad in zip(signals[1:], spectra[1:], strict=True):
            correlation = correlation.addcmul_(signal, grad) if not is_transformed() else correlation + signal * grad
        results.append(correlation.sum(0, keepdim=True) if kernel.shape[0] == 1 else correlation)
    for grad, wanted in zip(spectra, needed[1:], strict=True):
        if wanted:
            # In place where autograd does not save the spectrum: a new tensor costs as much as the product.
            in_place = not torch.is_grad_enabled() and not is_transformed()
            results.append(grad.mul_(kernel) if in_place else kernel * grad)
    return [_invert(result, fft_size) for result in results]


# Inductor cannot fuse complex numbers and copies for operations in place. As custom ops, the convolution and its
# gradient stay opaque to it. Sizes of fast transforms have no symbolic form, so the ops take and return tensors of
# the signals' sizes alone, and the gradient transforms the inputs again.


@torch.library.custom_op("hyperseq::convolve", mutates_args=())
def convolve_op(
    kernel: Tensor,
    signals: Sequence[Tensor],
    min_size: Sequence[int],
    round_up: bool,
    start: Sequence[int],
    size: Sequence[int],
) -> list[Tensor]:
    """Convolve as `_multiply_spectra` does, as a custom op."""
    refuse_forward_mode("convolutions")
    fft_size = _fft_size(min_size, round_up)
    spectrum = _transform(kernel, fft_size)
    products = [_transform(signal, fft_size).mul_(spectrum) for signal in signals]
    return [crop(_invert(product, fft_size), start=start, size=size).contiguous() for product in products]


@torch.library.custom_op("hyperseq::correlate", mutates_args=())
def correlate_op(
    kernel: Tensor,
    signals: Sequence[Tensor],
    grads: Sequence[Tensor],
    min_size: Sequence[int],
    round_up: bool,
    start: Sequence[int],
    needed: Sequence[bool],
) -> list[Tensor]:
    """Return those gradients of `convolve_op` that are needed, of the kernel and of the signals."""
    refuse_forward_mode("convolutions")
    fft_size = _fft_size(min_size, round_up)
    if any(start):
        margins = [margin for first in reversed(start) for margin in (first, 0)]
        grads = [pad(grad, margins) for grad in grads]
    inputs = [kernel, *signals]
    conjugates = [_transform(x, fft_size).conj_physical_() for x in inputs]
    full = _correlate(conjugates, grads, fft_size, needed)
    sizes = [spatial_size(x) for x, wanted in zip(inputs, needed, strict=True) if wanted]
    origin = [0] * len(fft_size)
    return [crop(x, start=origin, size=box).contiguous() for x, box in zip(full, sizes, strict=True)]


@convolve_op.register_fake
def _(
    kernel: Tensor,
    signals: Sequence[Tensor],
    min_size: Sequence[int],
    round_up: bool,
    start: Sequence[int],
    size: Sequence[int],
) -> list[Tensor]:
    refuse_forward_mode("convolutions")
    return [x.new_empty(*x.shape[:2], *size) for x in signals]


@correlate_op.register_fake
def _(
    kernel: Tensor,
    signals: Sequence[Tensor],
    grads: Sequence[Tensor],
    min_size: Sequence[int],
    round_up: bool,
    start: Sequence[int],
    needed: Sequence[bool],
) -> list[Tensor]:
    refuse_forward_mode("convolutions")
    return [x.new_empty(x.shape) for x, wanted in zip((kernel, *signals), needed, strict=True) if wanted]


def _save_for_correlation(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    kernel, signals, ctx.min_size, ctx.round_up, ctx.start, _ = inputs
    ctx.save_for_backward(kernel, *signals)


def _backward_of_convolve(ctx: Any, grads: list[Tensor]) -> tuple[Any, ...]:
    kernel, *signals = ctx.saved_tensors
    needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[1]]
    results = iter(correlate_op(kernel, signals, grads, ctx.min_size, ctx.round_up, ctx.start, needed))
    grad_kernel, *grad_signals = [next(results) if wanted else None for wanted in needed]
    return grad_kernel, grad_signals, None, None, None, None


convolve_op.register_autograd(_backward_of_convolve, setup_context=_save_for_correlation)
