"""True lengths of padded sequences: checking them, and putting exact zeros where there is only padding."""

import torch
from torch import Tensor

from hyperseq._checks import check_activations


def valid_lengths(lengths: Tensor | None, x: Tensor) -> Tensor | None:
    """Check the lengths of a padded batch, and return None where nothing is padded.

    Args:
        lengths: Integers ``(B,)`` in 1..S: sample i fills positions 0..lengths[i]-1. None: nothing is padded.
        x: The padded batch ``(B, C, S)``.

    Returns:
        The lengths on the device of ``x``, or None if all equal S, so that the cheap path can run.

    Raises:
        ValueError: If ``x`` has more than one spatial axis, or type, shape or range of the lengths is wrong.
    """
    if lengths is None:
        return None
    check_activations(x, name="x")
    if x.dim() != 3:
        raise ValueError(f"lengths must come with one spatial axis, got x of shape {tuple(x.shape)}")
    if not isinstance(lengths, Tensor):
        raise ValueError(f"lengths must be a tensor of integers, got {type(lengths).__name__}")
    if lengths.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"lengths must be a tensor of integers, got {lengths.dtype}")
    batch, _, size = x.shape
    if tuple(lengths.shape) != (batch,):
        raise ValueError(f"lengths must have shape ({batch},), one per sample, got {tuple(lengths.shape)}")
    shortest, longest = (int(bound) for bound in lengths.aminmax())
    if shortest < 1 or longest > size:
        raise ValueError(f"lengths must lie in 1..{size}, got values from {shortest} to {longest}")
    return None if shortest == size else lengths.to(x.device, torch.int64)


def mask_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Put zeros where ``(B, C, S)`` is padding, so that neither values nor gradients, nor NaN, pass.

    The lengths are those that `valid_lengths` returned.
    """
    if lengths is None:
        return x
    padded = torch.arange(x.shape[-1], device=x.device) >= lengths[:, None, None]
    return x.masked_fill(padded, 0)
