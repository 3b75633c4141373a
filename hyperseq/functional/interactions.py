"""Hyper-channel interaction and hyper interaction: scores of slow-network kernels that weigh the input."""

import torch
from torch import Tensor

from hyperseq._axes import over_space
from hyperseq._checks import check_activations, check_causal, check_same_batch, check_same_size, check_shape
from hyperseq.functional._numerics import at_least_float32, without_autocast
from hyperseq.functional.padding import Padding, as_padding, mask_padding
from hyperseq.functional.pooling import cumulative_mean, spatial_mean


def hyper_channel_interaction(
    x: Tensor,
    hyper_kernel: Tensor,
    *,
    values: Tensor | None = None,
    lengths: Tensor | Padding | None = None,
    causal: bool = False,
) -> Tensor:
    """Weigh the channels by their own pixel-level HyperZ·Z·W score.

    ``H = X ⊙ sigmoid(y ⊙ k ⊙ y)`` with y the mean of X over space.

    Args:
        x: X, ``(B, C, *S)``.
        hyper_kernel: k, a hyper-kernel over the channel axis, ``(C,)``.
        values: What the scores weigh in place of X, ``(B, C, *S)``.
        lengths: Integers ``(B,)`` in 1..S, one spatial axis; None: nothing is padded.
        causal: y at position t is the mean of positions 0..t (one spatial axis).

    Returns:
        ``(B, C, *S)``, zero where padded.

    Raises:
        ValueError: If kernel or lengths do not fit, or ``causal`` comes with more than one spatial axis.

    Example:
        >>> hyper_channel_interaction(torch.randn(2, 3, 100), torch.randn(3)).shape
        torch.Size([2, 3, 100])
    """
    check_activations(x, name="x")
    _check_channel_kernel(hyper_kernel, x, name="hyper_kernel")
    values = x if values is None else values
    check_same_batch(values, x, name="values", like_name="x")
    padding = as_padding(lengths, x)
    mean = _mean_over_space(x, padding, causal=causal)
    return weigh_by_channel_score(mask_padding(values, padding), mean, hyper_kernel)


def hyper_interaction(
    x: Tensor,
    high_level: Tensor,
    *,
    channel_kernel: Tensor,
    spatial_kernel: Tensor,
    lengths: Tensor | Padding | None = None,
    causal: bool = False,
) -> Tensor:
    """Weigh the input by the channel and spatial scores of a high-level representation of it.

    ``X ⊙ sigmoid(ss · sc)`` with ``sc = yc ⊙ kc ⊙ yc`` (yc = mean of Y over space) and ``ss = ys ⊙ ks ⊙ ys``
    (ys = mean of Y over channels).

    Args:
        x: X, ``(B, C, *S)``.
        high_level: Y, ``(B, C, *S)``.
        channel_kernel: kc, ``(C,)``.
        spatial_kernel: ks, ``(1, 1, *S)``.
        lengths: Integers ``(B,)`` in 1..S, one spatial axis; None: nothing is padded.
        causal: yc at position t is the mean of positions 0..t (one spatial axis).

    Returns:
        ``(B, C, *S)``, zero where padded.

    Raises:
        ValueError: If shapes or lengths do not fit, or ``causal`` comes with more than one spatial axis.

    Example:
        >>> x, y = torch.randn(2, 3, 100), torch.randn(2, 3, 100)
        >>> kc, ks = torch.randn(3), torch.randn(1, 1, 100)
        >>> hyper_interaction(x, y, channel_kernel=kc, spatial_kernel=ks).shape
        torch.Size([2, 3, 100])
    """
    check_activations(x, name="x")
    check_same_batch(high_level, x, name="high_level", like_name="x")
    _check_channel_kernel(channel_kernel, x, name="channel_kernel")
    check_same_size(spatial_kernel, x[:, :1], name="spatial_kernel", like_name="the mean of high_level over channels")
    padding = as_padding(lengths, x)
    high_level = mask_padding(high_level, padding)
    mean = _mean_over_space(high_level, padding, causal=causal)
    x = mask_padding(x, padding)
    return weigh_by_both_scores(x, high_level, mean, channel_kernel, spatial_kernel, causal=causal)


def weigh_by_channel_score(values: Tensor, mean: Tensor, hyper_kernel: Tensor) -> Tensor:
    """Weigh ``(B, C, *S)`` by the score of the mean over space, ``(B, C, *1)`` or, of the past, ``(B, C, S)``."""
    # Squares of float16 overflow above 256.
    score = torch.sigmoid(at_least_float32(mean).square() * over_space(hyper_kernel, values))
    return values * score.to(values.dtype)


def weigh_by_both_scores(
    x: Tensor, high_level: Tensor, mean: Tensor, channel_kernel: Tensor, spatial_kernel: Tensor, *, causal: bool
) -> Tensor:
    """Weigh X by the scores of Y, whose mean over space is ``(B, C, *1)`` or, if causal, ``(B, C, S)``."""
    # Squares of float16 overflow above 256.
    mean = at_least_float32(mean)
    channel_score = mean.square() * over_space(channel_kernel, x)
    total = high_level.sum(1, keepdim=True, dtype=channel_score.dtype)
    spatial_score = (total / x.shape[1]).square() * spatial_kernel
    if causal:
        product = channel_score * spatial_score
    else:
        # An outer product. As a matrix product, its gradients need no tensor of the full size.
        with without_autocast(x.device):
            product = torch.matmul(channel_score.flatten(2), spatial_score.flatten(2).to(channel_score.dtype))
    score = torch.sigmoid(product.reshape(x.shape))
    return x * score.to(x.dtype)


def _mean_over_space(x: Tensor, padding: Padding | None, *, causal: bool) -> Tensor:
    """Return the mean that each position may read: one for all, ``(B, C, *1)``, or one each, ``(B, C, S)``."""
    if not causal:
        return over_space(spatial_mean(x, lengths=padding), x)
    check_causal(causal, x)
    return cumulative_mean(x, lengths=padding)


def _check_channel_kernel(kernel: Tensor, x: Tensor, *, name: str) -> None:
    check_shape(kernel, (x.shape[1],), name=name, meaning="one entry per channel")
