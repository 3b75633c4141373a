"""The peers: backbones from sequences `(B, 1, L)` to features `(B, C, L)`, each with one width to choose."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

SIZE_TOLERANCE = 0.1
"""How far the parameters of a peer may be from ours."""


class Transformer(nn.Module):
    """Two pre-norm encoder layers, 64 wide, of four heads, with fixed sinusoidal positions.

    Heads of 16 channels run at full speed, others do not; so what sets the size is the feed-forward part. Two layers
    were faster than four narrower ones.
    """

    def __init__(self, feed_forward_width: int, *, length: int) -> None:
        super().__init__()
        self.out_channels = width = 64
        num_heads, num_layers = 4, 2
        self.embedding = nn.Linear(1, width)
        self.register_buffer("positions", sinusoids(length, width))
        layer = nn.TransformerEncoderLayer(
            width, num_heads, feed_forward_width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the features of ``(B, 1, L)``; all positions must be filled."""
        _refuse_padding(self, lengths)
        return self.encoder(self.embedding(x.mT) + self.positions).mT


class GRU(nn.Module):
    """One recurrent layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_channels = width
        self.layer = nn.GRU(1, width, batch_first=True)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the features of ``(B, 1, L)``; all positions must be filled."""
        _refuse_padding(self, lengths)
        return self.layer(x.mT)[0].mT


class DilatedConvolutions(nn.Module):
    """Nine residual blocks of three taps, the taps 1, 2, 4, ..., 256 positions apart: each output sees 1,023 inputs."""

    def __init__(self, width: int, *, num_blocks: int = 9) -> None:
        super().__init__()
        self.out_channels = width
        self.embedding = nn.Conv1d(1, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(width),
                nn.Conv1d(width, width, 3, padding=2**block, dilation=2**block),
                nn.GELU(),
                nn.Conv1d(width, width, 1),
            )
            for block in range(num_blocks)
        )
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the features of ``(B, 1, L)``; all positions must be filled."""
        _refuse_padding(self, lengths)
        features = self.embedding(x)
        for block in self.blocks:
            features = features + block(features)
        return self.norm(features)


def _refuse_padding(peer: nn.Module, lengths: Tensor | None) -> None:
    if lengths is not None:
        raise ValueError(f"lengths must be None: {type(peer).__name__} takes no padding, got {lengths}")


def sinusoids(length: int, width: int) -> Tensor:
    """Mark positions by sines and cosines of wavelengths from 2 pi to 10,000 times that, ``(length, width)``."""
    frequencies = 10_000 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def num_parameters(model: nn.Module) -> int:
    """Count the parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def of_size(build: Callable[[int], Network], *, widths: Sequence[int], parameters: int) -> tuple[Network, int]:
    """Build the network whose number of parameters is nearest to the one wanted.

    Args:
        build: Builds a network of a width.
        widths: Widths to choose from, ascending.
        parameters: Parameters wanted.

    Returns:
        The network and its width.

    Raises:
        ValueError: If the nearest is more than 10% off.
    """

    def count(width: int) -> int:
        with torch.device("meta"):
            return num_parameters(build(width))

    wider = bisect_left(widths, parameters, key=count)
    width = min(widths[max(wider - 1, 0) : wider + 1], key=lambda width: abs(count(width) - parameters))
    if abs(count(width) - parameters) > SIZE_TOLERANCE * parameters:
        raise ValueError(
            f"widths must hold one that gives {parameters:,} parameters within 10%, got {count(width):,} at best"
        )
    return build(width), width
