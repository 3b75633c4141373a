"""A residual stack: any sequence layer as the backbone of a task."""

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn.functional import silu

from hyperseq._checks import check_choice, check_count, check_fraction
from hyperseq.backbones._checkpoint import call_part
from hyperseq.backbones._stem import PaddedCall, StemmedBackbone
from hyperseq.functional.padding import Padding

_Mlp = Literal["gated", "plain", "none"]


class ResidualStack(StemmedBackbone):
    """Make a network of any layer ``(B, L, D)`` to ``(B, L, D)``: attention, a recurrent layer or a layer of your own.

    ``x <- x + layer(LayerNorm(x))``, then ``x <- x + MLP(LayerNorm(x))``, ``depth`` times, then a LayerNorm (pre-norm,
    Xiong et al. 2020, arXiv 2002.04745).

    Args:
        in_channels: Channels of the input.
        layer: Called with ``d_model``, ``depth`` times: a class or a function that returns a module. Its forward takes
            ``(B, L, D)`` and returns the same shape. For padded batches it also takes ``lengths``, integers ``(B,)``
            (a `Padding` if the annotation says so), and lets no position read the padding.
        depth: Number of layers; 1 to 24.
        d_model: Width D; 16 to 512.
        mlp: ``gated``: SwiGLU of width 8/3 D (Shazeer 2020, arXiv 2002.05202); ``plain``: GELU of width 4 D, as many
            weights; ``none``.
        dropout: Probability of dropping an output of a layer or an MLP; 0 to 0.5.
        stem: Maps the input to ``(B, d_model, L)``. Default: a 1x1 mixing. `hyperseq.nn.TokenEmbedding` takes ids.
            A stem that shortens the sequence has ``output_lengths`` (see `hyperseq.Terminator`).
        checkpoint: Keep the inputs of each layer alone for the backward pass, which computes the rest again: less
            memory, more time, the same gradients.

    Shape:
        ``(B, in_channels, L)``, or what the given stem takes, to ``(B, d_model, L)``.

    Raises:
        ValueError: If an option is out of range, a tensor or the lengths do not fit, the layer changes the shape, or a
            batch is padded and the layer does not take ``lengths``.

    Example:
        >>> import torch
        >>> stack = ResidualStack(3, layer=lambda d: torch.nn.Linear(d, d), depth=2, d_model=8)
        >>> stack(torch.randn(2, 3, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(
        self,
        in_channels: int,
        *,
        layer: Callable[[int], nn.Module],
        depth: int,
        d_model: int,
        mlp: _Mlp = "gated",
        dropout: float = 0.0,
        stem: nn.Module | None = None,
        checkpoint: bool = False,
    ) -> None:
        width = check_count(d_model, name="d_model")
        super().__init__(1, in_channels, width, stem, rule="d_model must be", given=width)
        self.out_channels = width
        check_fraction(dropout, name="dropout")
        check_choice(mlp, get_args(_Mlp), name="mlp")
        depth = check_count(depth, name="depth")
        self.layers = nn.ModuleList(_ResidualLayer(layer, width, mlp, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.checkpoint = checkpoint

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Compute features.

        Args:
            x: ``(B, in_channels, L)``, or what the given stem takes.
            lengths: Integers ``(B,)``: sample i fills positions 0..lengths[i]-1. The padding behind them has no effect,
                and features there are zero.

        Returns:
            ``(B, d_model, L)``.
        """
        features, padding = self._embed(x, lengths)
        hidden = _mask(features.mT, padding)
        for layer in self.layers:
            hidden = call_part(layer, hidden, padding, compute_again=self.checkpoint)
        return _mask(self.norm(hidden), padding).mT


class _ResidualLayer(nn.Module):
    """One layer and one MLP, each after a LayerNorm and around a residual."""

    def __init__(self, layer: Callable[[int], nn.Module], width: int, mlp: _Mlp, dropout: float) -> None:
        super().__init__()
        self.layer_norm, self.layer = nn.LayerNorm(width), layer(width)
        if not isinstance(self.layer, nn.Module):
            raise ValueError(f"layer must return a torch.nn.Module, got {type(self.layer).__name__}")
        self.call_layer = PaddedCall(self.layer)
        self.mlp_norm = None if mlp == "none" else nn.LayerNorm(width)
        self.mlp = {"gated": _GatedMLP, "plain": _PlainMLP}[mlp](width) if mlp != "none" else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding: Padding | None) -> Tensor:
        x = x + self.dropout(self._apply_layer(_mask(self.layer_norm(x), padding), padding))
        if self.mlp is not None and self.mlp_norm is not None:
            x = x + self.dropout(_mask(self.mlp(self.mlp_norm(x)), padding))
        return x

    def _apply_layer(self, x: Tensor, padding: Padding | None) -> Tensor:
        name = type(self.layer).__name__
        if padding is not None and not self.call_layer.takes_lengths:
            raise ValueError(f"lengths must be None for a layer whose forward does not take lengths, got {name}")
        y = self.layer(x) if padding is None else self.call_layer(self.layer, x, padding)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            found = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise ValueError(
                f"layer must return a tensor of the shape {tuple(x.shape)} it takes, got {found} from {name}"
            )
        return _mask(y, padding)


class _GatedMLP(nn.Module):
    """SwiGLU: ``W_out (silu(W_gate x) ⊙ W_value x)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, 8 * width // 3)
        self.hidden, self.output = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.hidden(x).chunk(2, dim=-1)
        return self.output(silu(gate) * value)


class _PlainMLP(nn.Sequential):
    """``W_out GELU(W x)``."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def _mask(x: Tensor, padding: Padding | None) -> Tensor:
    """Put zeros where ``(B, L, D)`` is padding."""
    return x if padding is None else x.masked_fill(padding.mask.mT, 0)
