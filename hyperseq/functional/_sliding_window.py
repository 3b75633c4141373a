"""A depthwise sliding window with a kernel of its own for every sample, in any number of dimensions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from hyperseq._axes import spatial_size
from hyperseq.functional._numerics import is_exported_to_onnx, is_transformed, refuse_forward_mode

Margins = Sequence[int]


def slide(values: Tensor, kernel: Tensor, *, before: Margins, after: Margins) -> Tensor:
    """Correlate each channel of each sample with its own kernel, zeros outside.

    ``y[n] = sum_j kernel[j] values[n + j - before]``

    Args:
        values: ``(B, C, *S)``.
        kernel: ``(B or 1, C, *k)``.
        before: Zeros put before the values on each axis.
        after: Zeros put after them.

    Returns:
        ``(B, C, *(S + before + after - k + 1))`` in the type of the values.
    """
    per_sample = kernel.expand(values.shape[0], *kernel.shape[1:])
    # Sums of many products need more digits than the half types have.
    common = torch.promote_types(torch.promote_types(values.dtype, kernel.dtype), torch.float32)
    wide_values, wide_kernel = values.to(common), per_sample.to(common)
    if is_exported_to_onnx():
        return _gathered_windows(wide_values, wide_kernel, before, after).to(values.dtype)
    # For sequences our gradient is faster, for images the gradient of torch's convolution.
    if values.dim() == 3 and not is_transformed():
        result: Tensor = _Slide.apply(wide_values, wide_kernel, before[0], after[0])  # type: ignore[no-untyped-call]
        result = result.reshape(*values.shape[:2], -1)
    else:
        result = _grouped_convolution(wide_values, wide_kernel, before, after)
    return result.to(values.dtype)


def _grouped_convolution(values: Tensor, kernel: Tensor, before: Margins, after: Margins) -> Tensor:
    result = convolve_groups(values, kernel, before, after)
    return result.reshape(*values.shape[:2], *spatial_size(result))


def convolve_groups(values: Tensor, kernel: Tensor, before: Margins, after: Margins) -> Tensor:
    """Let every channel of every sample be a group of its own: ``(1, B C, *S)``."""
    both = [min(pair) for pair in zip(before, after, strict=True)]
    if list(before) != list(after):
        # The convolution pads both sides alike; the rest is a copy. torch lists margins from the last axis on.
        margins = [(first - b, last - b) for first, last, b in zip(before, after, both, strict=True)]
        values = pad(values, [margin for pair in reversed(margins) for margin in pair])
    groups = values.shape[0] * values.shape[1]
    image = values.reshape(1, groups, *spatial_size(values))
    taps = kernel.reshape(groups, 1, *spatial_size(kernel))
    opaque = torch.compiler.is_compiling() and not is_transformed() and not is_exported_to_onnx()
    return (convolve_groups_op if opaque else _convolve_groups)(image, taps, both)


def _convolve_groups(image: Tensor, taps: Tensor, margins: Margins) -> Tensor:
    return torch.convolution(image, taps, None, *_conv_options(taps, margins))


def _conv_options(taps: Tensor, margins: Margins) -> tuple[Any, ...]:
    """Return stride, padding, dilation, transposed, output_padding and groups."""
    ones, zeros = [1] * len(margins), [0] * len(margins)
    return ones, margins, ones, False, zeros, taps.shape[0]


# Inductor makes one program for each number of groups of a convolution, and thereby for each batch size. As custom ops,
# the convolution and its gradients stay opaque to it.


@torch.library.custom_op("hyperseq::convolve_groups", mutates_args=())
def convolve_groups_op(image: Tensor, taps: Tensor, margins: Sequence[int]) -> Tensor:
    """Convolve as `_convolve_groups` does, as a custom op."""
    refuse_forward_mode("convolutions")
    return _convolve_groups(image, taps, margins)


@torch.library.custom_op("hyperseq::correlate_groups", mutates_args=())
def correlate_groups_op(
    grad: Tensor, image: Tensor, taps: Tensor, margins: Sequence[int], needed: Sequence[bool]
) -> list[Tensor]:
    """Return those gradients of `convolve_groups_op` that are needed, of the image and of the taps."""
    mask = [*needed, False]
    grads = torch.ops.aten.convolution_backward(grad, image, taps, None, *_conv_options(taps, margins), mask)
    return [found for found, wanted in zip(grads, needed, strict=False) if wanted]


@convolve_groups_op.register_fake
def _(image: Tensor, taps: Tensor, margins: Sequence[int]) -> Tensor:
    refuse_forward_mode("convolutions")
    sizes = zip(spatial_size(image), margins, spatial_size(taps), strict=True)
    return image.new_empty(1, taps.shape[0], *[size + 2 * margin - window + 1 for size, margin, window in sizes])


@correlate_groups_op.register_fake
def _(grad: Tensor, image: Tensor, taps: Tensor, margins: Sequence[int], needed: Sequence[bool]) -> list[Tensor]:
    return [torch.empty_like(x) for x, wanted in zip((image, taps), needed, strict=True) if wanted]


def _save_for_groups(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    image, taps, ctx.margins = inputs
    ctx.save_for_backward(image, taps)


def _backward_of_groups(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    needed = list(ctx.needs_input_grad[:2])
    results = iter(correlate_groups_op(grad, *ctx.saved_tensors, ctx.margins, needed))
    grad_image, grad_taps = [next(results) if wanted else None for wanted in needed]
    return grad_image, grad_taps, None


convolve_groups_op.register_autograd(_backward_of_groups, setup_context=_save_for_groups)


def _gathered_windows(values: Tensor, kernel: Tensor, before: Margins, after: Margins) -> Tensor:
    """Multiply each window with its kernel: a convolution of ONNX takes no kernel for each sample."""
    padded = pad(values, [margin for pair in reversed(list(zip(before, after, strict=True))) for margin in pair])
    num_axes, windows = len(before), padded
    for axis, taps in enumerate(spatial_size(kernel), start=2):
        num_outputs = padded.shape[axis] - taps + 1
        positions = torch.arange(num_outputs)[:, None] + torch.arange(taps)
        # Each axis becomes two: that of the outputs stays, that of the taps goes to the end.
        extents = *windows.shape[:axis], num_outputs, taps, *windows.shape[axis + 1 :]
        windows = windows.index_select(axis, positions.flatten()).reshape(extents).movedim(axis + 1, -1)
    weights = kernel.reshape(*kernel.shape[:2], *[1] * num_axes, *spatial_size(kernel))
    return (windows * weights).sum(dim=tuple(range(-num_axes, 0)))


class _Slide(torch.autograd.Function):
    """One axis. The gradient of the values is a sliding window; that of a tap is a product over the tap's positions."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
        ctx.save_for_backward(values, kernel)
        ctx.before, ctx.after = before, after
        # Channels of all samples in one axis, as the convolution has them: an output that is a view of another tensor
        # could not be changed in place.
        return convolve_groups(values, kernel, [before], [after])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, kernel = ctx.saved_tensors
        num_taps = kernel.shape[2]
        grad = grad.reshape(*values.shape[:2], -1)
        grad_values = grad_kernel = None
        if ctx.needs_input_grad[0]:
            before, after = num_taps - 1 - ctx.before, num_taps - 1 - ctx.after
            window = slide if torch.is_grad_enabled() else _grouped_convolution
            grad_values = window(grad, kernel.flip(2), before=[before], after=[after])
        if ctx.needs_input_grad[1]:
            num_outputs = grad.shape[2]
            if torch.compiler.is_compiling():
                # Padded values have all that a tap reads: one program for sequences longer and shorter than the window.
                values = pad(values, (ctx.before, ctx.after))
                overlaps = [(0, tap, num_outputs) for tap in range(num_taps)]
            else:
                overlaps = [_overlap(tap, ctx.before, num_outputs, values.shape[2]) for tap in range(num_taps)]
            products = [
                torch.linalg.vecdot(values.narrow(2, read, count), grad.narrow(2, out, count))
                for out, read, count in overlaps
            ]
            grad_kernel = torch.stack(products, dim=-1)
        return grad_values, grad_kernel, None, None


def _overlap(tap: int, before: int, num_outputs: int, num_values: int) -> tuple[int, int, int]:
    """Return the first output a tap writes, the first value it reads, and how many: ``value = output + tap - before``.

    A tap that lies outside reads 0 values from position 0.
    """
    start = max(0, before - tap)
    count = min(num_outputs, num_values + before - tap) - start
    return (start, start + tap - before, count) if count > 0 else (0, 0, 0)
