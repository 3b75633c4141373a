"""What layers for other people's models share: layouts, masks, and marks on parameters."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from hyperseq._checks import check_floating
from hyperseq.functional._numerics import has_values
from hyperseq.functional.padding import Padding

_AXES = {1: "length", 2: "height, width"}


def channels_first(x: Tensor, channels: int, *, num_spatial_dims: int = 1, transposed: bool) -> Tensor:
    """Check an input ``(B, *S, C)``, or ``(B, C, *S)`` if transposed, and view it as ``(B, C, *S)``."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"x must be a torch.Tensor (torch.nn.utils.rnn.pad_packed_sequence unpacks), got {type(x).__name__}"
        )
    axes = _AXES.get(num_spatial_dims, f"{num_spatial_dims} spatial axes")
    layout, axis = (f"(batch, channels, {axes})", 1) if transposed else (f"(batch, {axes}, channels)", -1)
    if x.dim() != 2 + num_spatial_dims or 0 in x.shape or x.shape[axis] != channels:
        raise ValueError(f"x must be {layout} with {channels} channels, and not empty, got shape {tuple(x.shape)}")
    check_floating(x, name="x")
    return x if transposed else x.movedim(-1, 1)


def as_lengths(lengths: Tensor | Padding | None, mask: Tensor | None, x: Tensor) -> Tensor | Padding | None:
    """Return the lengths, or those that the mask of ``(B, C, S)`` says: its real positions must come first."""
    if mask is None:
        return lengths
    if lengths is not None:
        raise ValueError("mask must be None beside lengths, got both")
    if x.dim() != 3:
        raise ValueError("mask must be None unless there is one spatial axis, got a mask")
    expected = (x.shape[0], x.shape[-1])
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) != expected:
        found = f"{mask.dtype} of shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"mask must be booleans of shape {expected}, True at real positions, got {found}")
    counts = mask.sum(1)
    if has_values(mask) and not torch.equal(mask, torch.arange(mask.shape[1], device=mask.device) < counts[:, None]):
        raise ValueError("mask must be True first and False behind: move the padding to the right, got another order")
    return counts


def check_position(x: Tensor, channels: int) -> None:
    """Refuse what is not one position of each sequence, ``(B, C)``."""
    if not isinstance(x, Tensor) or x.dim() != 2:
        found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x must be one position (batch, {channels}), got {found}")


def mark_kept(parameters: Iterable[nn.Parameter | None]) -> None:
    """Mark, for trainers of Mamba's or timm's kind, what must not decay or be drawn again."""
    for parameter in parameters:
        if parameter is not None:
            parameter._no_weight_decay = parameter._no_reinit = True  # type: ignore[attr-defined]
