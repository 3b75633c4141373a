"""The peers, layers `(B, L, D) -> (B, L, D)`: torch's attention and GRU, and a gated long convolution."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from hyperseq.functional import fft_conv


class Attention(nn.Module):
    """Multi-head attention of torch, four heads."""

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Attend over ``(B, L, D)``."""
        length = x.shape[1]
        mask = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1) if self.causal else None
        return self.attention(x, x, x, attn_mask=mask, is_causal=self.causal, need_weights=False)[0]


class GRU(nn.Module):
    """One recurrent layer; two directions of half the width where no position is hidden."""

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__()
        hidden = width if causal else width // 2
        self.layer = nn.GRU(width, hidden, batch_first=True, bidirectional=not causal)

    def forward(self, x: Tensor) -> Tensor:
        """Run over ``(B, L, D)``."""
        return self.layer(x)[0]


class GatedLongConvolution(nn.Module):
    """``gate ⊙ (K ⊛ value)`` with an implicit, decaying K: Hyena of order one (Poli et al. 2023, arXiv 2302.10866).

    K comes from a two-layer network of sines over positional features, times a decay per channel.
    """

    def __init__(self, width: int, *, causal: bool, length: int, num_features: int = 8, hidden: int = 32) -> None:
        super().__init__()
        self.causal = causal
        self.input, self.output = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.short = nn.Conv1d(2 * width, 2 * width, 3, groups=2 * width)
        self.first, self.second = nn.Linear(2 * num_features + 1, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, width, bias=False)
        self.rates = nn.Parameter(torch.linspace(-2.0, 4.0, width))
        self.skip = nn.Parameter(torch.ones(width))
        time = torch.linspace(0, 1, length)[:, None]
        angles = time * torch.arange(1, num_features + 1) * 2 * torch.pi
        self.register_buffer("time", time)
        self.register_buffer("features", torch.cat([time, angles.cos(), angles.sin()], dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(B, L, D)``."""
        hidden = torch.sin(10 * self.first(self.features))
        kernel = self.last(torch.sin(10 * self.second(hidden))) * torch.exp(-softplus(self.rates) * 5 * self.time)
        margins = (2, 0) if self.causal else (1, 1)
        gate, value = self.short(pad(self.input(x).mT, margins)).chunk(2, dim=1)
        mode = "causal" if self.causal else "circular"
        mixed = fft_conv(value, kernel.mT[None] / x.shape[1] ** 0.5, mode=mode) + self.skip[:, None] * value
        return self.output((gate * mixed).mT)
