"""The embedding of tokens, as the stem of a network."""

import torch
from torch import Tensor, nn

from hyperseq._checks import check_count, is_integer
from hyperseq.functional._numerics import has_values
from hyperseq.functional.padding import Padding, as_padding, mask_padding


class TokenEmbedding(nn.Module):
    """Look up one learned vector per token id: ``y[:, p] = E[ids[p]]``, as `torch.nn.Embedding`, channels first.

    The vector of ``padding_id`` is zero and is not trained.

    Args:
        num_tokens: Number of different ids; ids lie in 0..num_tokens-1.
        channels: Channels C of the output; 16 to 512.
        padding_id: Id of padding.

    Shape:
        Ids ``(B, L)``, int32 or int64, to ``(B, C, L)``.

    Raises:
        ValueError: If an option is out of range, or the ids or lengths do not fit.

    Example:
        >>> embedding = TokenEmbedding(10, 4)
        >>> embedding(torch.tensor([[3, 7, 0]])).shape
        torch.Size([1, 4, 3])
    """

    def __init__(self, num_tokens: int, channels: int, *, padding_id: int = 0) -> None:
        super().__init__()
        self.num_tokens = check_count(num_tokens, name="num_tokens")
        self.channels = check_count(channels, name="channels")
        if not is_integer(padding_id) or not 0 <= padding_id < self.num_tokens:
            raise ValueError(f"padding_id must be an integer in 0..{self.num_tokens - 1}, got {padding_id!r}")
        self.padding_id = int(padding_id)
        self.embedding = nn.Embedding(self.num_tokens, self.channels, padding_idx=self.padding_id)

    def forward(self, ids: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Embed ids.

        Args:
            ids: ``(B, L)``. Padding may hold any integers.
            lengths: Integers ``(B,)``: sample i fills positions 0..lengths[i]-1; None: ``padding_id`` alone is padding.

        Returns:
            ``(B, C, L)``, zero where padded.
        """
        if not isinstance(ids, Tensor):
            raise ValueError(f"ids must be a torch.Tensor, got {type(ids).__name__}")
        if ids.dim() != 2 or 0 in ids.shape:
            raise ValueError(f"ids must be (batch, length) without an empty axis, got shape {tuple(ids.shape)}")
        if ids.dtype not in (torch.int32, torch.int64):
            raise ValueError(f"ids must be int32 or int64, got {ids.dtype}")
        padding = as_padding(lengths, ids[:, None])
        # id 0 exists always; where padded it is read and its vector is masked
        ids = mask_padding(ids[:, None], padding)[:, 0]
        if has_values(ids):
            lowest, highest = (int(bound) for bound in ids.aminmax())
            if lowest < 0 or highest >= self.num_tokens:
                raise ValueError(f"ids must lie in 0..{self.num_tokens - 1}, got values from {lowest} to {highest}")
        return mask_padding(self.embedding(ids).mT, padding)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"{self.num_tokens}, {self.channels}, padding_id={self.padding_id}"
