"""Padded batches: true lengths, checked once, and exact zeros at the padding."""

from typing import NamedTuple

import torch
from torch import Tensor

from hyperseq.functional._numerics import has_values


class Padding(NamedTuple):
    """The checked lengths of a padded batch ``(B, C, S)``, and the mask that follows from them.

    Make one with `as_padding`. Every function and module that takes ``lengths`` takes a `Padding` too, and then
    repeats no check and computes no mask.

    Attributes:
        lengths: Integers ``(B,)`` in 1..S, int64, on the device of the batch.
        mask: Booleans ``(B, 1, S)``, True at padding.
    """

    lengths: Tensor
    mask: Tensor


def as_padding(lengths: Tensor | Padding | None, x: Tensor) -> Padding | None:
    """Check the lengths of a padded batch once, and compute its mask.

    Compiled and exported code cannot branch on the values of a tensor. There, the values of ``lengths`` are not
    checked, and the result is None only if ``lengths`` is None.

    Args:
        lengths: Integers ``(B,)`` in 1..S: sample i fills positions 0..lengths[i]-1. None: nothing is padded. A
            `Padding` is returned unchanged and unchecked.
        x: The padded batch ``(B, C, S)``.

    Returns:
        The padding. None if all lengths equal S, so that callers can take the cheaper path.

    Raises:
        ValueError: If ``x`` has more than one spatial axis, or if type, shape or range of the lengths is wrong.

    Example:
        >>> x = torch.ones(2, 1, 3)
        >>> as_padding(torch.tensor([3, 1]), x).mask
        tensor([[[False, False, False]],
                [[False,  True,  True]]])
        >>> as_padding(torch.tensor([3, 3]), x) is None
        True
    """
    if lengths is None:
        return None
    if isinstance(lengths, Padding):
        batch, _, size = lengths.mask.shape
        if not torch.compiler.is_compiling() and (x.shape[0], x.shape[-1]) != (batch, size):
            raise ValueError(
                f"lengths must be a Padding of {x.shape[0]} samples of {x.shape[-1]} positions, "
                f"got one of {batch} samples of {size}"
            )
        return lengths
    if not isinstance(x, Tensor):
        raise ValueError(f"x must be a torch.Tensor, got {type(x).__name__}")
    if x.dim() != 3 or x.numel() == 0:
        raise ValueError(f"lengths must come with one spatial axis and no empty axis, got x of shape {tuple(x.shape)}")
    if not isinstance(lengths, Tensor):
        raise ValueError(f"lengths must be a tensor of integers, got {type(lengths).__name__}")
    if lengths.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"lengths must be a tensor of integers, got {lengths.dtype}")
    batch, _, size = x.shape
    if lengths.dim() != 1 or lengths.shape[0] != batch:
        raise ValueError(f"lengths must have shape ({batch},), one per sample, got {tuple(lengths.shape)}")
    if has_values(lengths):
        # one transfer for both: on a GPU each one waits for all work before it
        shortest, longest = torch.stack(lengths.aminmax()).tolist()
        if shortest < 1 or longest > size:
            raise ValueError(f"lengths must lie in 1..{size}, got values from {shortest} to {longest}")
        if shortest == size:
            return None
    lengths = lengths.to(x.device, torch.int64)
    return Padding(lengths, torch.arange(size, device=x.device) >= lengths[:, None, None])


def mask_padding(x: Tensor, padding: Padding | None) -> Tensor:
    """Replace the padding of ``(B, C, S)`` by zeros: no values, NaN among them, and no gradients pass.

    Args:
        x: The padded batch ``(B, C, S)``.
        padding: What `as_padding` returned. None: ``x`` is returned unchanged.

    Returns:
        ``(B, C, S)``.

    Example:
        >>> x = torch.ones(2, 1, 3)
        >>> mask_padding(x, as_padding(torch.tensor([3, 1]), x))
        tensor([[[1., 1., 1.]],
                [[1., 0., 0.]]])
    """
    return x if padding is None else x.masked_fill(padding.mask, 0)
