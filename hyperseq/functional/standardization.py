"""Standardization without affine parameters: by instance, by batch, and by groups of channels (G-IBS)."""

import torch
from torch import Tensor

from hyperseq._checks import check_activations, check_causal, check_positive, check_shape
from hyperseq.functional._numerics import at_least_float32
from hyperseq.functional._standardization import (
    batch_standardize_with_moments,
    causal_standardize,
    check_groups,
    join_groups,
    split_groups,
    standardize,
    standardize_padded,
)
from hyperseq.functional.padding import Padding, as_padding, mask_padding


def instance_standardize(
    x: Tensor, *, lengths: Tensor | Padding | None = None, causal: bool = False, eps: float = 1e-5
) -> Tensor:
    """Standardize each channel of each sample over space (IS).

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
    check_positive(eps, name="eps")
    check_causal(causal, x)
    padding = as_padding(lengths, x)
    if causal:
        y = causal_standardize(at_least_float32(mask_padding(x, padding)), eps)
        return mask_padding(y.to(x.dtype), padding)
    if padding is not None:
        return standardize_padded(x, padding, padding.lengths[:, None, None], axes=(2,), eps=eps)[0]
    # A "batch" of one sample, in which each channel of each sample is a channel.
    return standardize(x.reshape(1, -1, *x.shape[2:]), eps)[0].reshape(x.shape)


def batch_standardize(
    x: Tensor,
    *,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    lengths: Tensor | Padding | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Standardize each channel over batch and space (BS), or by given statistics.

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
    check_positive(eps, name="eps")
    if mean is None or var is None:
        return batch_standardize_with_moments(x, lengths=lengths, eps=eps)[0]
    check_activations(x, name="x")
    for name, given in (("mean", mean), ("var", var)):
        check_shape(given, (x.shape[1],), name=name, meaning="one entry per channel")
    padding = as_padding(lengths, x)
    x = mask_padding(x, padding)
    return mask_padding(torch.batch_norm(x, None, None, mean, var, False, 0.0, eps, False), padding)


def group_standardize(
    x: Tensor,
    *,
    num_groups: int = 2,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    lengths: Tensor | Padding | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Standardize groups of channels in turn by batch and by instance (G-IBS).

    Groups 0, 2, ... are standardized as `batch_standardize` does, groups 1, 3, ... as `instance_standardize`.

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
    num_groups = check_groups(num_groups, x.shape[1])
    padding = as_padding(lengths, x)
    by_batch, by_instance = split_groups(x, num_groups)
    by_batch = batch_standardize(by_batch, mean=mean, var=var, lengths=padding, eps=eps)
    if by_instance is not None:
        by_instance = instance_standardize(by_instance, lengths=padding, eps=eps)
    return join_groups(by_batch, by_instance, num_groups)
