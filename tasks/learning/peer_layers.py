"""Layers to compare with, of torch's own parts: `hyperseq.backbones.ResidualStack` makes networks of them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from tasks.errors import UserError


class SelfAttention(nn.Module):
    """Softmax attention of every position to every filled one; sinusoids added to the input tell the positions.

    Args:
        d_model: Width; a multiple of twice the number of heads.
        num_heads: Heads.

    Raises:
        UserError: If the width does not fit the heads.
    """

    def __init__(self, d_model: int, *, num_heads: int = 4) -> None:
        super().__init__()
        if num_heads < 1 or d_model % (2 * num_heads):
            raise UserError(f"d_model must be a multiple of 2 * num_heads, got {d_model} and {num_heads} heads")
        self.num_heads = num_heads
        self.inputs, self.output = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Turn `(B, L, D)` into the same shape; `lengths`, `(B,)`, are the filled positions."""
        batch, length, width = x.shape
        heads = self.inputs(x + sinusoids(length, width, x.device)).reshape(batch, length, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        filled = None
        if lengths is not None:
            filled = (torch.arange(length, device=x.device) < lengths[:, None])[:, None, None]
        y = scaled_dot_product_attention(query, key, value, attn_mask=filled)
        return self.output(y.transpose(1, 2).reshape(batch, length, width))


class GRU(nn.Module):
    """One recurrent layer from left to right: padding at the end changes nothing before it.

    Args:
        d_model: Width.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.layer = nn.GRU(d_model, d_model, batch_first=True)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Turn `(B, L, D)` into the same shape; `lengths` are not needed."""
        return self.layer(x)[0]


def sinusoids(length: int, width: int, device: torch.device) -> Tensor:
    """Mark positions by sines and cosines of wavelengths from 2 pi to 10,000 times that, `(length, width)`."""
    frequencies = 10_000 ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(length, device=device)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
