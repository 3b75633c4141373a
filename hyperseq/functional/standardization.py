"""Standardisation without affine parameters: by instance, by batch, and by groups of channels (G-IBS)."""

from typing import Any

import torch
from torch import Tensor

from hyperseq._axes import over_space, spatial_axes
from hyperseq._checks import check_activations
from hyperseq.functional._precision import at_least_float32
from hyperseq.functional.padding import mask_padding, valid_lengths


def instance_standardize(
    x: Tensor, *, lengths: Tensor | None = None, causal: bool = False, eps: float = 1e-5
) -> Tensor:
    """Standardise each channel of each sample over space (IS).

    ``y = (x - mean) / sqrt(var + eps)`` with the biased variance; with ``causal``, mean and variance at position t
    are those of positions 0..t.

    Args:
        x: ``(B, C, *S)``.
        lengths: Integers ``(B,)`` in 1..S, one spatial axis; None: nothing is padded.
        causal: Use the past alone (one spatial axis).
        eps: Added to the variance; 1e-5 suits activations of unit scale.

    Returns:
        ``(B, C, *S)``, zero where padded.

    Raises:
        ValueError: If the lengths do not fit, or ``causal`` comes with more than one spatial axis.

    Example:
        >>> y = instance_standardize(torch.randn(2, 3, 100))
        >>> bool(y.mean(-1).abs().max() < 1e-5)
        True
    """
    check_activations(x, name="x")
    if causal and x.dim() != 3:
        raise ValueError(f"causal must be False unless there is one spatial axis, got x of shape {tuple(x.shape)}")
    lengths = valid_lengths(lengths, x)
    if causal:
        y = _causal_standardize(at_least_float32(mask_padding(x, lengths)), eps)
        return mask_padding(y.to(x.dtype), lengths)
    if lengths is None:
        # every channel of every sample is a channel of its own in one "batch"
        flat, _, _ = _standardize(x.reshape(1, -1, *x.shape[2:]), eps)
        return flat.reshape(x.shape)
    valid, count = mask_padding(at_least_float32(x), lengths), lengths[:, None, None]
    centred = mask_padding(valid - valid.sum(-1, keepdim=True) / count, lengths)
    return (centred * torch.rsqrt(centred.square().sum(-1, keepdim=True) / count + eps)).to(x.dtype)


def _standardize(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Standardise over all axes but the second; also return mean (without gradient) and ``1 / sqrt(var + eps)``."""
    y, mean, scale = _Standardize.apply(x, eps)  # type: ignore[no-untyped-call]
    return y, mean, scale


class _Standardize(torch.autograd.Function):
    """torch's fused kernels, but backward starts from the output.

    What follows a standardisation keeps its output anyway; what came before it is then free to go.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        if x.shape[0] == 1:
            # of one sample every channel stands alone, and the layer norm's kernel takes half the time
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
        if torch.is_grad_enabled():
            # to be differentiated once more: plain operations
            axes = (0, *spatial_axes(y))
            along = over_space((grad * y).mean(axes), y) * y
            grad_x = (grad - over_space(grad.mean(axes), y) - along) * over_space(scale, y)
        else:
            # as if y had come in: its mean is 0 and its scale 1; the scale of x enters where a weight would
            mean, one = torch.zeros_like(scale), torch.ones_like(scale)
            grad_x, _, _ = torch.ops.aten.native_batch_norm_backward(
                grad, y, scale, None, None, mean, one, True, 0.0, [True, False, False]
            )
        if grad_scale is not None:
            # only a second differentiation asks for it; this order of factors does not overflow in float16
            grad_x = grad_x - over_space(grad_scale * scale / (y.numel() // y.shape[1]) * scale, y) * y
        return grad_x, None


def _causal_standardize(x: Tensor, eps: float) -> Tensor:
    count = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
    mean = x.cumsum(-1) / count
    earlier_mean = torch.cat([x[..., :1], mean[..., :-1]], dim=-1)
    # Welford's increments: never negative, so no cancellation for a large mean
    var = ((x - earlier_mean) * (x - mean)).cumsum(-1) / count
    return (x - mean) * torch.rsqrt(var + eps)


def batch_standardize(
    x: Tensor,
    *,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    lengths: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Standardise each channel over batch and space (BS), or by given statistics.

    ``y = (x - mean) / sqrt(var + eps)`` with the biased variance.

    Args:
        x: ``(B, C, *S)``.
        mean: ``(C,)``, together with ``var``: use these in place of the batch's, as evaluation does.
        var: ``(C,)``.
        lengths: Integers ``(B,)`` in 1..S, one spatial axis; padding does not count.
        eps: Added to the variance.

    Returns:
        ``(B, C, *S)``, zero where padded.

    Raises:
        ValueError: If only one of mean and variance is given, their shape is wrong, or the lengths do not fit.

    Example:
        >>> y = batch_standardize(torch.randn(8, 3, 100))
        >>> bool(y.mean((0, 2)).abs().max() < 1e-5)
        True
    """
    if (mean is None) != (var is None):
        raise ValueError(f"var must be given together with mean, got mean={mean is not None}, var={var is not None}")
    if mean is None or var is None:
        return batch_standardize_with_moments(x, lengths=lengths, eps=eps)[0]
    check_activations(x, name="x", channels=mean.shape[0])
    if var.shape != mean.shape:
        raise ValueError(f"var must have the shape {tuple(mean.shape)} of mean, got {tuple(var.shape)}")
    lengths = valid_lengths(lengths, x)
    x = mask_padding(x, lengths)
    return mask_padding(torch.batch_norm(x, None, None, mean, var, False, 0.0, eps, False), lengths)


def batch_standardize_with_moments(
    x: Tensor, *, lengths: Tensor | None = None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Standardise by the batch, and return ``(y, mean, var)`` with the (C,) statistics that were used.

    Mean and variance come without gradient: they are for running averages.
    """
    check_activations(x, name="x")
    lengths = valid_lengths(lengths, x)
    if lengths is None:
        y, mean, scale = _standardize(x, eps)
        return y, mean, (scale.detach() ** -2 - eps).clamp(min=0)
    valid, count = mask_padding(at_least_float32(x), lengths), lengths.sum()
    mean = valid.sum((0, 2)) / count
    centred = mask_padding(valid - over_space(mean, x), lengths)
    var = centred.square().sum((0, 2)) / count
    return (centred * over_space(torch.rsqrt(var + eps), x)).to(x.dtype), mean.detach(), var.detach()


def group_standardize(
    x: Tensor,
    *,
    num_groups: int = 2,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    lengths: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Standardise groups of channels in turn by batch and by instance (G-IBS).

    Groups 0, 2, ... are standardised as `batch_standardize` does, groups 1, 3, ... as `instance_standardize`.

    Args:
        x: ``(B, C, *S)``.
        num_groups: Number of equal groups of consecutive channels; the paper's code has 12. 1 means batch alone.
        mean: Given mean of the channels of the even groups, in order; None: the batch's.
        var: Given variance of the same channels.
        lengths: Integers ``(B,)`` in 1..S, one spatial axis.
        eps: Added to the variance.

    Returns:
        ``(B, C, *S)``, zero where padded.

    Raises:
        ValueError: If the groups do not divide the channels, or statistics or lengths do not fit.

    Example:
        >>> group_standardize(torch.randn(8, 4, 100), num_groups=2).shape
        torch.Size([8, 4, 100])
    """
    check_activations(x, name="x")
    check_groups(num_groups, x.shape[1])
    lengths = valid_lengths(lengths, x)
    by_batch, by_instance = split_groups(x, num_groups)
    by_batch = batch_standardize(by_batch, mean=mean, var=var, lengths=lengths, eps=eps)
    if by_instance is not None:
        by_instance = instance_standardize(by_instance, lengths=lengths, eps=eps)
    return join_groups(by_batch, by_instance, num_groups)


def check_groups(num_groups: int, channels: int) -> None:
    """Refuse a number of groups that does not divide the channels."""
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"num_groups must divide the {channels} channels, got {num_groups}")


def split_groups(x: Tensor, num_groups: int) -> tuple[Tensor, Tensor | None]:
    """Collect the channels of the even groups and those of the odd groups (None if there is one group)."""
    if num_groups == 1:
        return x, None
    # chunks, not slices: the gradient of every slice is a full tensor of its own
    groups = x.chunk(num_groups, dim=1)
    return torch.cat(groups[0::2], dim=1), torch.cat(groups[1::2], dim=1)


def join_groups(even: Tensor, odd: Tensor | None, num_groups: int) -> Tensor:
    """Undo `split_groups`."""
    if odd is None:
        return even
    even_groups = even.chunk((num_groups + 1) // 2, dim=1)
    odd_groups = odd.chunk(num_groups // 2, dim=1)
    return torch.cat([(even_groups, odd_groups)[index % 2][index // 2] for index in range(num_groups)], dim=1)
