"""What a user would take instead, built from torch alone: modules from (B, L, D) to (B, L, D)."""

from torch import Tensor, nn


class DepthwiseSeparableConv(nn.Module):
    """A depthwise convolution of 31 taps, then a 1x1 mixing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 31, padding=15, groups=width)
        self.pointwise = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(B, L, D)``."""
        return self.pointwise(self.depthwise(x.mT)).mT


class GRU(nn.Module):
    """One recurrent layer, its output alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.GRU(width, width, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Run over ``(B, L, D)``."""
        return self.layer(x)[0]


def transformer_layer(width: int) -> nn.Module:
    """Build torch's encoder layer with four heads and a feed-forward part four times as wide."""
    return nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)


LONGEST = {"Transformer layer": 4096, "GRU": 4096, "separable convolution": 262144}
"""Longest sequence each is timed at: past it one call takes seconds to minutes, or more memory than there is."""
