"""The sequence mixer behind the interfaces of layers that users have: S4, Mamba's mixers, attention of an encoder."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from typing_extensions import Unpack

from hyperseq.nn import SequenceMixer
from hyperseq.nn._options import MixerOptions


class S4Style(nn.Module):
    """Stand in for an S4 block: forward returns ``(y, None)``, and channels come first by default.

    Args:
        d_model: Width D.
        l_max: Training length (see `hyperseq.SequenceMixer`).
        transposed: Take and return ``(B, D, L)``, S4's default; False: ``(B, L, D)``.
        causal: No output reads its future.
        **mixer: Further options of `hyperseq.SequenceMixer`.

    Shape:
        ``(B, D, L)`` to the same and None.

    Raises:
        ValueError: As `hyperseq.SequenceMixer`.

    Example:
        >>> import torch
        >>> y, state = S4Style(8, l_max=100)(torch.randn(2, 8, 100), rate=1.0)
        >>> y.shape
        torch.Size([2, 8, 100])
    """

    def __init__(
        self,
        d_model: int,
        *,
        l_max: int,
        transposed: bool = True,
        causal: bool = False,
        **mixer: Unpack[MixerOptions],
    ) -> None:
        super().__init__()
        self.mixer = SequenceMixer(d_model, l_max=l_max, causal=causal, transposed=transposed, **mixer)
        self.d_output = self.mixer.d_output

    def forward(
        self, x: Tensor, *, lengths: Tensor | None = None, rate: float = 1.0, state: None = None
    ) -> tuple[Tensor, None]:
        """Mix ``(B, D, L)``; ``lengths`` and ``rate`` as in the mixer. A state is refused: steps are the mixer's."""
        if state is not None:
            raise ValueError(f"state must be None (SequenceMixer.prefill takes a history), got {type(state).__name__}")
        return self.mixer(x, lengths=lengths, rate=rate), None


def mixer_factory(*, l_max: int, causal: bool = False, **mixer: Unpack[MixerOptions]) -> Callable[[int], SequenceMixer]:
    """Return what blocks of Mamba's kind call as ``mixer_cls(dim)``.

    Args:
        l_max: Training length (see `hyperseq.SequenceMixer`).
        causal: No output reads its future.
        **mixer: Further options of `hyperseq.SequenceMixer`.

    Returns:
        A function of the width.

    Example:
        >>> mixer_cls = mixer_factory(l_max=100, causal=True)
        >>> mixer_cls(8)
        SequenceMixer(...)
    """
    return partial(SequenceMixer, l_max=l_max, causal=causal, **mixer)


class SelfAttentionStyle(nn.Module):
    """Stand in for ``self_attn`` of a `torch.nn.TransformerEncoderLayer` with ``batch_first=True``.

    Assign it after the layer is built: ``layer.self_attn = SelfAttentionStyle(d_model, l_max=...)``. Masks have torch's
    polarity: True is padding.

    Args:
        d_model: Width D.
        l_max: Training length (see `hyperseq.SequenceMixer`).
        causal: Whether calls are causal. An ``is_causal`` that says otherwise is refused.
        **mixer: Further options of `hyperseq.SequenceMixer`.

    Shape:
        ``(B, L, D)`` to the same and None.

    Raises:
        ValueError: If query, key and value differ, or a mask is not the layer's own.

    Example:
        >>> import torch
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, batch_first=True)
        >>> layer.self_attn = SelfAttentionStyle(8, l_max=100)
        >>> padding = torch.arange(100).expand(2, -1) >= torch.tensor([[100], [60]])
        >>> layer(torch.randn(2, 100, 8), src_key_padding_mask=padding).shape
        torch.Size([2, 100, 8])
    """

    # torch's encoder layer asks for these before it takes its fused path, which knows attention alone
    batch_first = True
    in_proj_bias = None
    _qkv_same_embed_dim = False

    def __init__(self, d_model: int, *, l_max: int, causal: bool = False, **mixer: Unpack[MixerOptions]) -> None:
        super().__init__()
        self.mixer = SequenceMixer(d_model, l_max=l_max, causal=causal, **mixer)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = False,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """Mix ``(B, L, D)``, as `torch.nn.MultiheadAttention` is called by an encoder layer.

        Args:
            query: The input.
            key: The same tensor.
            value: The same tensor.
            attn_mask: Refused unless ``is_causal``, which then says what the mask holds.
            key_padding_mask: True, or minus infinity, at padding, ``(B, L)``, to the right.
            need_weights: Refused: there are none.
            is_causal: Must be the option ``causal``.

        Returns:
            ``(B, L, D)`` and None.
        """
        if key is not query or value is not query:
            raise ValueError("key and value must be the query: this layer replaces self-attention, got other tensors")
        if is_causal != self.mixer.causal:
            raise ValueError(f"is_causal must be {self.mixer.causal}, as the option causal is, got {is_causal}")
        if need_weights:
            raise ValueError("need_weights must be False: there are no attention weights, got True")
        if attn_mask is not None and not is_causal:
            raise ValueError("attn_mask must be None unless is_causal is True, got a mask")
        # the encoder layer turns booleans into 0 and minus infinity
        mask = None if key_padding_mask is None else key_padding_mask == 0
        return self.mixer(query, mask=mask), None
