"""1x1 channel mixing."""

import torch
from torch import Tensor

from hyperseq._spatial import check_activations


def mix_channels(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mix the channels of every position: a 1x1 convolution, computed as one matrix product per sample.

    ``y[b, o, p] = sum_i weight[o, i] x[b, i, p] + bias[o]``

    Args:
        x: ``(B, C_in, *S)``.
        weight: ``(C_out, C_in)``.
        bias: ``(C_out,)`` or None.

    Returns:
        ``(B, C_out, *S)``.

    Raises:
        ValueError: If ``x`` does not have C_in channels.

    Example:
        >>> mix_channels(torch.randn(2, 3, 8, 8), torch.randn(5, 3)).shape
        torch.Size([2, 5, 8, 8])
    """
    check_activations(x, name="x", channels=weight.shape[1])
    # torch.matmul would copy x to fold the batch into the columns; a batched product reads it where it is
    weights, columns = weight.expand(x.shape[0], -1, -1), x.flatten(2)
    mixed = torch.bmm(weights, columns) if bias is None else torch.baddbmm(bias[:, None], weights, columns)
    return mixed.reshape(x.shape[0], -1, *x.shape[2:])
