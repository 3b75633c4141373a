"""The HyperZ·Z·W operator (Zhang 2024, arXiv 2401.17948), global and local.

A slow network's hyper-kernel K, multiplied with a context X, gives the context-dependent fast weights W = K ⊙ X;
these are then applied to values V.
"""

from collections.abc import Sequence
from typing import overload

from torch import Tensor

from hyperseq._axes import spatial_size
from hyperseq._checks import check_activations, check_choice, check_rank_matches, check_same_batch, check_same_size
from hyperseq.functional._convolution import OPERATOR_MODES, apply_fast_weights, check_exact, check_mode_rank
from hyperseq.functional._numerics import at_least_float32
from hyperseq.functional._sliding_window import slide
from hyperseq.functional.padding import Padding, as_padding, mask_padding


@overload
def global_hyperzzw(
    context: Tensor,
    hyper_kernel: Tensor,
    values: Tensor,
    *,
    mode: str = ...,
    lengths: Tensor | Padding | None = ...,
    exact: bool = ...,
) -> Tensor: ...
@overload
def global_hyperzzw(
    context: Tensor,
    hyper_kernel: Tensor,
    values: Sequence[Tensor],
    *,
    mode: str = ...,
    lengths: Tensor | Padding | None = ...,
    exact: bool = ...,
) -> list[Tensor]: ...
def global_hyperzzw(
    context: Tensor,
    hyper_kernel: Tensor,
    values: Tensor | Sequence[Tensor],
    *,
    mode: str = "circular",
    lengths: Tensor | Padding | None = None,
    exact: bool = False,
) -> Tensor | list[Tensor]:
    """Apply the context-dependent fast weights ``W = K ⊙ X`` to the values, linear in time and memory.

    - ``circular``: ``Y = W ⊛ V`` over the true length; every output sees every input.
    - ``causal`` (one spatial axis): ``y[t] = sum_{m <= t} W[m] V[t - m]``; no output sees its future.
    - ``matmul`` (two axes, square): ``W V`` as matrices over the two axes, the paper's image form.
    - ``product``: ``W ⊙ V``, the pixel-level score.

    Args:
        context: X, ``(B, C, *S)``.
        hyper_kernel: K, ``(1, C, *S)`` (or one per sample).
        values: V, ``(B, C, *S)``, or several that share one W and so one transform of it.
        mode: One of the four above.
        lengths: Integers ``(B,)``, one spatial axis: each sample gives the output that it gives alone.
        exact: For ``causal``: sum in blocks, in O(S^2), so that the gradient of an output by its future is exactly
            zero. The rounding of the FFT leaks about 1e-7 of the largest gradient.

    Returns:
        ``(B, C, *S)`` in the type of the values; a list of them if several values came.

    Raises:
        ValueError: If shapes or lengths do not fit, the mode is unknown or not allowed for the rank, or ``exact`` comes
            with a mode other than ``causal``.

    Example:
        >>> import torch
        >>> context, values = torch.randn(2, 3, 100), torch.randn(2, 3, 100)
        >>> global_hyperzzw(context, torch.randn(1, 3, 100), values).shape
        torch.Size([2, 3, 100])
    """
    check_choice(mode, OPERATOR_MODES, name="mode")
    check_activations(context, name="context")
    check_same_size(hyper_kernel, context, name="hyper_kernel", like_name="context")
    several = [values] if isinstance(values, Tensor) else list(values)
    for value in several:
        check_same_batch(value, context, name="values", like_name="context")
    check_mode_rank(mode, spatial_size(context))
    check_exact(exact, mode)
    padding = as_padding(lengths, context)

    fast_weights = at_least_float32(hyper_kernel) * mask_padding(context, padding)
    several = [mask_padding(value, padding) for value in several]
    results = apply_fast_weights(fast_weights, several, mode=mode, padding=padding, exact=exact)
    return results[0] if isinstance(values, Tensor) else results


def local_hyperzzw(values: Tensor, kernel: Tensor) -> Tensor:
    """Slide one small kernel per sample and channel over the values, zeros outside.

    ``y[n] = sum_j K[j] V[n + j - floor(k / 2)]``: the sliding window of deep learning (a correlation). The
    context is already in the kernel; `hyperseq.nn.LocalHyperZZW` makes it.

    Args:
        values: V, ``(B, C, *S)``.
        kernel: K, ``(B or 1, C, *k)``.

    Returns:
        ``(B, C, *S)`` in the type of the values.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> import torch
        >>> local_hyperzzw(torch.randn(2, 3, 100), torch.randn(2, 3, 5)).shape
        torch.Size([2, 3, 100])
    """
    check_activations(values, name="values")
    check_rank_matches(kernel, values, name="kernel", like_name="values")
    size = spatial_size(kernel)
    return slide(values, kernel, before=[k // 2 for k in size], after=[k - 1 - k // 2 for k in size])


def causal_local_hyperzzw(
    context: Tensor, values: Tensor, kernel: Tensor, *, lengths: Tensor | Padding | None = None
) -> Tensor:
    """Slide one small kernel over the past, the context inside the window.

    ``y[t] = sum_j K[j] X[t - j] V[t - j]``, zeros before the start. A kernel made from a pooled context would know the
    future; here each product of context and value stays at its position.

    Args:
        context: X, ``(B, C, S)``.
        values: V, ``(B, C, S)``.
        kernel: K, ``(B or 1, C, k)``; tap j reads j positions back.
        lengths: Integers ``(B,)``: each sample gives the output that it gives alone.

    Returns:
        ``(B, C, S)`` in the type of the values, zero where padded.

    Raises:
        ValueError: If shapes or lengths do not fit.

    Example:
        >>> import torch
        >>> x = torch.randn(2, 3, 100)
        >>> causal_local_hyperzzw(x, x, torch.randn(1, 3, 5)).shape
        torch.Size([2, 3, 100])
    """
    check_activations(context, name="context", num_spatial_dims=1)
    check_same_size(values, context, name="values", like_name="context")
    check_rank_matches(kernel, context, name="kernel", like_name="context")
    padding = as_padding(lengths, context)
    products = mask_padding(context, padding) * mask_padding(values, padding)
    result = slide(products, kernel.flip(-1), before=[kernel.shape[-1] - 1], after=[0])
    return mask_padding(result.to(values.dtype), padding)
