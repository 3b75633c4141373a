"""1x1 channel mixing with learned weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hyperseq._checks import check_count
from hyperseq.functional import mix_channels


class ChannelMixing(nn.Module):
    """Mix the channels of every position: ``y = A x + b``, a 1x1 convolution of any rank (Lin et al. 2013).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bias: Add b. Of no use before a standardization, which subtracts constants.

    Shape:
        ``(B, in_channels, *S)`` to ``(B, out_channels, *S)``.

    Raises:
        ValueError: If a count is no positive integer or the input has other channels.

    Example:
        >>> ChannelMixing(3, 5)(torch.randn(2, 3, 8, 8)).shape
        torch.Size([2, 5, 8, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        self.in_channels = check_count(in_channels, name="in_channels")
        self.out_channels = check_count(out_channels, name="out_channels")
        self.weight = nn.Parameter(torch.empty(self.out_channels, self.in_channels))
        self.bias = nn.Parameter(torch.empty(self.out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias uniformly within ``1 / sqrt(in_channels)``, as `torch.nn.Linear` does."""
        bound = 1 / math.sqrt(self.in_channels)
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        """Mix the channels of ``(B, in_channels, *S)``, or of several tensors with ``in_channels`` together."""
        return mix_channels(x, weight=self.weight, bias=self.bias)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"{self.in_channels}, {self.out_channels}, bias={self.bias is not None}"
