"""How the bytes of images become the inputs of a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from tasks.errors import UserError
from tasks.images.augmentation import resize
from tasks.images.permutations import Permutation, reading_order


class Normalization(NamedTuple):
    """Mean and standard deviation of each channel, where black is 0 and white is 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def choose_normalization(name: str, choices: Mapping[str, Normalization]) -> Normalization:
    """Return the normalization of this name; raise `UserError` if there is none."""
    if name not in choices:
        raise UserError(f"normalization must be one of {', '.join(choices)}, got {name!r}")
    return choices[name]


def compute_input_size(
    side: int, *, num_spatial_dims: int, permutation: Permutation = "none", patch_size: int = 1
) -> tuple[int, ...]:
    """Compute the extent of each axis of the inputs; arguments as of `Inputs`.

    Raises:
        UserError: If there are neither one nor two axes, or if images are to be permuted, or if patches do not fit.
    """
    if num_spatial_dims not in (1, 2):
        raise UserError(f"num_spatial_dims must be 1 or 2, got {num_spatial_dims}")
    if num_spatial_dims == 2 and permutation != "none":
        raise UserError(f"permutation must be none for images (num_spatial_dims=2), got {permutation!r}")
    if patch_size < 1 or side % patch_size:
        raise UserError(f"patch_size must divide the {side} pixels of a side, got {patch_size}")
    if num_spatial_dims == 1:
        if patch_size > 1:
            raise UserError(f"patch_size must be 1 for sequences (num_spatial_dims=1), got {patch_size}")
        return (side * side,)
    return (side // patch_size, side // patch_size)


@dataclass(frozen=True)
class Inputs:
    """Makes inputs of square images: normalizes them, and reads them row by row where sequences are wanted.

    Attributes:
        side: Height and width that images are resized to, if they have others.
        normalization: Mean and standard deviation of each channel.
        num_spatial_dims: 1 for sequences of pixels, 2 for images.
        permutation: Order of the pixels of a sequence.
        patch_size: Side p of the squares of pixels that one position of an image holds as channels.

    Raises:
        UserError: As `compute_input_size`, or if there is no such permutation.
    """

    side: int
    normalization: Normalization
    num_spatial_dims: int
    permutation: Permutation = "none"
    patch_size: int = 1

    def __post_init__(self) -> None:
        _ = self.size, self.order

    @property
    def in_channels(self) -> int:
        """Channels of the inputs."""
        return len(self.normalization.mean) * self.patch_size**2

    @property
    def size(self) -> tuple[int, ...]:
        """Extent of each axis of the inputs."""
        return compute_input_size(
            self.side, num_spatial_dims=self.num_spatial_dims, permutation=self.permutation, patch_size=self.patch_size
        )

    @cached_property
    def order(self) -> Tensor | None:
        """Position that a sequence reads at each step, or `None` for ascending positions."""
        return reading_order(self.permutation, self.side * self.side)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Turn images from 0 to 255, `(B, C, H, W)`, into inputs, `(B, in_channels, *size)` of `float32`."""
        if pixels.shape[-1] != self.side:
            pixels = resize(pixels, self.side)
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in self.normalization)
        x = pixel_unshuffle((pixels.float() / 255 - mean) / std, self.patch_size)
        if self.num_spatial_dims == 1:
            x = x.flatten(2)
        return x if self.order is None else x[..., self.order]
