"""The recursive gated unit."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from hyperseq._checks import check_activations, check_count
from hyperseq.functional import instance_standardize
from hyperseq.functional.mixing import multiply_mixings
from hyperseq.functional.padding import Padding, as_padding, mask_padding
from hyperseq.functional.streaming import MomentState, stream_standardize
from hyperseq.nn.channel_mixing import ChannelMixing


class RecursiveGatedUnit(nn.Module):
    """Gate mixed channels by twice mixed channels.

    ``RGU(X) = P_y( GELU( IS( P_k X ⊙ P_q(P_v X) ) ) )`` with P a 1x1 channel mixing and IS the instance
    standardization (Zhang 2024, arXiv 2401.17948).

    Args:
        channels: Number of channels C.
        causal: IS uses the positions up to the current one alone; one spatial axis.

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If the input has other channels or the lengths do not fit.

    Example:
        >>> import torch
        >>> RecursiveGatedUnit(8)(torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(self, channels: int, *, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.channels = check_count(channels, name="channels")
        self.key = ChannelMixing(channels, channels)
        self.query = ChannelMixing(channels, channels)
        # A bias of value only shifts the bias of query. The block standardizes away a bias of output.
        self.value = ChannelMixing(channels, channels, bias=False)
        self.output = ChannelMixing(channels, channels, bias=False)

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Gate ``(B, C, *S)``; ``lengths`` ``(B,)``, one spatial axis: padding has no effect and comes out as zero."""
        check_activations(x, name="x", channels=self.channels)
        padding = as_padding(lengths, x)
        x = mask_padding(x, padding)
        gate = instance_standardize(self._multiply(x), lengths=padding, causal=self.causal)
        return self._project(gate)

    @torch.no_grad()
    def prefill(self, x: Tensor, state: MomentState) -> Tensor:
        """Gate the next positions ``(B, C, n)`` of a causal unit; the state, new at the start, is changed in place."""
        return self._project(stream_standardize(self._multiply(x), state))

    def _multiply(self, x: Tensor) -> Tensor:
        # P_q P_v is one mixing: multiply the two small matrices first.
        weights = torch.stack([self.key.weight, self.query.weight @ self.value.weight])
        biases = torch.stack([self.key.bias, self.query.bias])  # type: ignore[list-item]
        return multiply_mixings(x, weights, biases)

    def _project(self, gate: Tensor) -> Tensor:
        output: Tensor = self.output(gelu(gate.to(self.output.weight.dtype)))
        return output

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"causal={self.causal}"
