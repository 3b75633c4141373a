"""How the bytes of images become the inputs of a network."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from tasks.images.permutations import Permutation


class Normalization(NamedTuple):
    """What is subtracted from each channel, and then divided by, where black is 0 and white 1."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def input_size(
    side: int, *, num_spatial_dims: int, permutation: Permutation = "none", patch_size: int = 1
) -> tuple[int, ...]:
    """Find the spatial size of the inputs.

    Args:
        side: Height and width of the images.
        num_spatial_dims: 1 for sequences of pixels, 2 for images.
        permutation: Order of the pixels of a sequence.
        patch_size: Height and width of the squares of pixels that one position of an image holds as channels.

    Returns:
        One length an axis.

    Raises:
        ValueError: If images are neither, or their pixels are to be permuted, or the patches do not fit.
    """
    if num_spatial_dims not in (1, 2):
        raise ValueError(f"num_spatial_dims must be 1 or 2, got {num_spatial_dims}")
    if num_spatial_dims == 2 and permutation != "none":
        raise ValueError(f"permutation must be none for images (num_spatial_dims=2), got {permutation!r}")
    if patch_size < 1 or side % patch_size:
        raise ValueError(f"patch_size must divide the {side} pixels of a side, got {patch_size}")
    if num_spatial_dims == 1:
        if patch_size > 1:
            raise ValueError(f"patch_size must be 1 for sequences (num_spatial_dims=1), got {patch_size}")
        return (side * side,)
    return (side // patch_size, side // patch_size)


def as_inputs(
    pixels: Tensor,
    *,
    normalization: Normalization,
    num_spatial_dims: int,
    order: Tensor | None = None,
    patch_size: int = 1,
) -> Tensor:
    """Normalise images, and read them row by row where sequences are wanted.

    Args:
        pixels: Images from 0 to 255, `(B, C, H, W)`.
        normalization: Mean and deviation of each channel.
        num_spatial_dims: 1 for sequences of pixels, 2 for images.
        order: Position that a sequence reads at each step, `(H * W,)`, or `None` for the positions as they come.
        patch_size: Height and width p of the squares of pixels that one position of an image holds as channels.

    Returns:
        Inputs, `(B, C, H * W)` or `(B, C * p * p, H / p, W / p)`, `float32`.
    """
    mean, deviation = (torch.tensor(values).reshape(-1, 1, 1) for values in normalization)
    x = pixel_unshuffle((pixels.float() / 255 - mean) / deviation, patch_size)
    if num_spatial_dims == 1:
        x = x.flatten(2)
    return x if order is None else x[..., order]
