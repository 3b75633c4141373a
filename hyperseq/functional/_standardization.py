"""Standardization over chosen axes, with and without padding, and the groups of channels of G-IBS."""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed import ProcessGroup

from hyperseq._axes import over_space, spatial_axes
from hyperseq._checks import check_activations, check_count
from hyperseq.functional._numerics import at_least_float32, is_transformed
from hyperseq.functional.padding import Padding, as_padding, mask_padding


def batch_standardize_with_moments(
    x: Tensor,
    *,
    lengths: Tensor | Padding | None = None,
    eps: float = 1e-5,
    across: ProcessGroup | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Standardize by the batch, and return ``(y, mean, var)`` with the (C,) statistics of the batch.

    Mean and variance have no gradient: they are for running averages. With the process group ``across``, the batch is
    that of all its processes together.
    """
    check_activations(x, name="x")
    padding = as_padding(lengths, x)
    if across is not None:
        return _standardize_across(x, padding, eps, across)
    if padding is None:
        return standardize(x, eps)
    y, mean, scale = standardize_padded(x, padding, padding.lengths.sum(), axes=(0, 2), eps=eps)
    return y, mean.detach().flatten(), _variance(scale.detach().flatten(), eps)


def _variance(scale: Tensor, eps: float) -> Tensor:
    return (scale**-2 - eps).clamp(min=0)


def _standardize_across(
    x: Tensor, padding: Padding | None, eps: float, group: ProcessGroup
) -> tuple[Tensor, Tensor, Tensor]:
    wide, axes = at_least_float32(mask_padding(x, padding)), (0, *spatial_axes(x))
    count = wide.new_full((1,), x.numel() // x.shape[1]) if padding is None else padding.lengths.sum()[None].to(wide)
    sums = _SumAcross.apply(torch.cat([wide.sum(axes), count]), group)  # type: ignore[no-untyped-call]
    mean, count = sums[:-1] / sums[-1], sums[-1]
    centered = mask_padding(wide - over_space(mean, x), padding)
    var = _SumAcross.apply(centered.square().sum(axes), group) / count  # type: ignore[no-untyped-call]
    y = (centered * over_space(torch.rsqrt(var + eps), x)).to(x.dtype)
    return y, mean.detach(), var.detach()


class _SumAcross(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:
        ctx.group = group
        total = x.clone()
        distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _SumAcross.apply(grad.contiguous(), ctx.group), None  # type: ignore[no-untyped-call]


def standardize(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Standardize over all axes but the second; also return mean and variance, both without gradient."""
    if is_transformed() or torch.compiler.is_compiling():
        wide, axes = at_least_float32(x), (0, *spatial_axes(x))
        mean = wide.mean(axes)
        centered = wide - over_space(mean, x)
        scale = torch.rsqrt(centered.square().mean(axes) + eps)
        y = (centered * over_space(scale, x)).to(x.dtype)
    else:
        y, mean, scale = _Standardize.apply(x, eps)  # type: ignore[no-untyped-call]
    return y, mean.detach(), _variance(scale.detach(), eps)


class _Standardize(torch.autograd.Function):
    """The fused kernels of torch, with a backward pass that reads the output alone.

    The next layer saves the output anyway, so autograd can free the input.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        if x.shape[0] == 1:
            # For one sample, each channel is standardized alone: the layer norm kernel takes half the time.
            y, mean, scale = torch.native_layer_norm(x, x.shape[2:], None, None, eps)
            mean, scale = mean.flatten(), scale.flatten()
        else:
            y, mean, scale = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
        ctx.save_for_backward(y, scale)
        ctx.mark_non_differentiable(mean)
        ctx.set_materialize_grads(False)
        return y, mean, scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None, grad_scale: Tensor | None) -> tuple[Tensor, None]:
        y, scale = ctx.saved_tensors
        grad = torch.zeros_like(y) if grad is None else grad
        if torch.is_grad_enabled() or is_transformed():
            # Double backward: plain operations.
            axes = (0, *spatial_axes(y))
            along = over_space((grad * y).mean(axes), y) * y
            grad_x = (grad - over_space(grad.mean(axes), y) - along) * over_space(scale, y)
        else:
            # The input of this call is y: its mean is 0 and its scale 1. The scale of x takes the place of a weight.
            mean, one = torch.zeros_like(scale), torch.ones_like(scale)
            grad_x, _, _ = torch.ops.aten.native_batch_norm_backward(
                grad, y, scale, None, None, mean, one, True, 0.0, [True, False, False]
            )
        if grad_scale is not None:
            # Double backward alone asks for this. In this order of factors float16 does not overflow.
            grad_x = grad_x - over_space(grad_scale * scale / (y.numel() // y.shape[1]) * scale, y) * y
        return grad_x, None


def standardize_padded(
    x: Tensor, padding: Padding, count: Tensor, *, axes: tuple[int, ...], eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Standardize over axes with ``count`` positions that are no padding; also return mean and scale, axes kept."""
    wide = at_least_float32(x)
    if is_transformed() or torch.compiler.is_compiling():
        valid = mask_padding(wide, padding)
        mean = valid.sum(axes, keepdim=True) / count
        centered = mask_padding(valid - mean, padding)
        scale = torch.rsqrt(centered.square().sum(axes, keepdim=True) / count + eps)
        return (centered * scale).to(x.dtype), mean, scale
    y, mean, scale = _StandardizePadded.apply(wide, padding.mask, count, axes, eps)  # type: ignore[no-untyped-call]
    return y.to(x.dtype), mean, scale


class _StandardizePadded(torch.autograd.Function):
    """One tensor of the full size in forward, changed in place, and a backward pass that reads the output alone."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mask: Tensor, count: Tensor, axes: tuple[int, ...], eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        y = x.masked_fill(mask, 0)
        mean = y.sum(axes, keepdim=True) / count
        y.sub_(mean).masked_fill_(mask, 0)
        scale = torch.rsqrt(_sum_of_products(y, y, axes) / count + eps)
        y.mul_(scale)
        ctx.save_for_backward(y, scale, mask, count)
        ctx.axes = axes
        ctx.mark_non_differentiable(mean)
        ctx.set_materialize_grads(False)
        return y, mean, scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None, grad_scale: Tensor | None) -> tuple[Tensor | None, ...]:
        y, scale, mask, count = ctx.saved_tensors
        grad = torch.zeros_like(y) if grad is None else grad.masked_fill(mask, 0)
        mean = grad.sum(ctx.axes, keepdim=True) / count
        along = _sum_of_products(grad, y, ctx.axes) / count
        if grad_scale is not None:
            # Double backward alone asks for this.
            along = along + grad_scale * scale / count
        if torch.is_grad_enabled() or is_transformed():
            grad_x = ((grad - mean - along * y) * scale).masked_fill(mask, 0)
        else:
            grad_x = grad.sub_(mean).addcmul_(along, y, value=-1).mul_(scale).masked_fill_(mask, 0)
        return grad_x, None, None, None, None


def _sum_of_products(x: Tensor, y: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Sum ``x y`` over the last axis, and over the first if it is among the axes, without a tensor of full size."""
    sums = torch.linalg.vecdot(x, y).unsqueeze(-1)
    return sums.sum(0, keepdim=True) if 0 in axes else sums


def causal_standardize(x: Tensor, eps: float) -> Tensor:
    """Standardize each position by mean and variance of the positions up to it."""
    count = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
    # Standardization subtracts constants. Without the first value, which every position may read, a mean of the whole
    # signal costs no digits: the deviation of t positions is at least |mean| / sqrt(t) afterwards.
    x = x - x[..., :1].detach()
    mean = x.cumsum(-1) / count
    earlier_mean = torch.cat([x[..., :1], mean[..., :-1]], dim=-1)
    # Welford's increments are never negative, so a large mean causes no cancellation.
    var = ((x - earlier_mean) * (x - mean)).cumsum(-1) / count
    return (x - mean) * torch.rsqrt(var + eps)


def check_groups(num_groups: int, channels: int) -> int:
    """Return a number of groups that divides the channels."""
    count = check_count(num_groups, name="num_groups")
    if channels % count:
        raise ValueError(f"num_groups must divide the {channels} channels, got {count}")
    return count


def split_groups(x: Tensor, num_groups: int) -> tuple[Tensor, Tensor | None]:
    """Collect the channels of the even groups and those of the odd groups (None if there is one group)."""
    if num_groups == 1:
        return x, None
    # Chunks, not slices: the gradient of each slice is a tensor of the full size.
    groups = x.chunk(num_groups, dim=1)
    return torch.cat(groups[0::2], dim=1), torch.cat(groups[1::2], dim=1)


def join_groups(even: Tensor, odd: Tensor | None, num_groups: int) -> Tensor:
    """Undo `split_groups`."""
    if odd is None:
        return even
    even_groups = even.chunk((num_groups + 1) // 2, dim=1)
    odd_groups = odd.chunk(num_groups // 2, dim=1)
    return torch.cat([(even_groups, odd_groups)[index % 2][index // 2] for index in range(num_groups)], dim=1)
