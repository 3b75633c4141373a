"""The recursive gated unit."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from hyperseq._checks import check_activations, check_count
from hyperseq.functional import instance_standardize
from hyperseq.functional.mixing import multiply_mixings
from hyperseq.functional.padding import mask_padding, valid_lengths
from hyperseq.nn.channel_mixing import ChannelMixing


class RecursiveGatedUnit(nn.Module):
    """Gate mixed channels by twice mixed channels.

    ``RGU(X) = P_y( GELU( IS( P_k X ⊙ P_q(P_v X) ) ) )`` with P a 1x1 channel mixing and IS the instance
    standardisation (Zhang 2024).

    Args:
        channels: Number of channels C.

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If the input has other channels or the lengths do not fit.

    Example:
        >>> import torch
        >>> RecursiveGatedUnit(8)(torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_count(channels, name="channels")
        self.key = ChannelMixing(channels, channels)
        self.query = ChannelMixing(channels, channels)
        # a constant here would only move the query's own, and one behind the gate is standardised away in the block
        self.value = ChannelMixing(channels, channels, bias=False)
        self.output = ChannelMixing(channels, channels, bias=False)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Gate ``(B, C, *S)``; with ``lengths`` (B,), one spatial axis, padding stays zero and counts nowhere."""
        check_activations(x, name="x", channels=self.channels)
        lengths = valid_lengths(lengths, x)
        x = mask_padding(x, lengths)
        # two mixings in a row are one, by the product of their small matrices
        weights = torch.stack([self.key.weight, self.query.weight @ self.value.weight])
        biases = torch.stack([self.key.bias, self.query.bias])  # type: ignore[list-item]
        product = multiply_mixings(x, weights, biases)
        gate = instance_standardize(product, lengths=lengths)
        output: Tensor = self.output(gelu(gate))
        return output
