"""Random changes of training images, drawn from the seed, the epoch and the position of each sample alone."""

from math import radians

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from tasks.data.draws import uniform_draws


def crop_and_flip(pixels: Tensor, index: Tensor, epoch: int, *, seed: int, padding: int = 4) -> Tensor:
    """Shift each image by up to `padding` pixels, mirrored at its border, and flip half of them: CIFAR.

    Images are square, `(B, C, S, S)`; `index`, `(B,)`, is the position of each sample in the whole data set; epochs
    count from 0.
    """
    draws = uniform_draws(index, num_draws=3, seed=seed, epoch=epoch)
    return flip(_shift(pixels, draws[:, :2], padding), draws[:, 2] < 0.5)


def shift(pixels: Tensor, index: Tensor, epoch: int, *, seed: int, padding: int = 2) -> Tensor:
    """Shift as `crop_and_flip` does, without its flip: MNIST, where a flip would change the digit."""
    return _shift(pixels, uniform_draws(index, num_draws=2, seed=seed, epoch=epoch), padding)


def turn_and_flip(pixels: Tensor, index: Tensor, epoch: int, *, seed: int) -> Tensor:
    """Show each image in one of the eight forms of a square, by quarter turns and mirrors: Pathfinder.

    Arguments as of `crop_and_flip`.
    """
    down, across, swapped = (uniform_draws(index, num_draws=3, seed=seed, epoch=epoch) < 0.5).unbind(1)
    pixels = flip(flip(pixels.mT, down).mT, across)
    return torch.where(swapped[:, None, None, None], pixels.mT, pixels)


def rotate_crop_and_flip(
    pixels: Tensor, index: Tensor, epoch: int, *, seed: int, resized: int = 272, degrees: float = 15.0, side: int = 256
) -> Tensor:
    """Resize each image, rotate it by up to `degrees`, crop it and flip half of them: STL-10.

    The first four arguments are those of `crop_and_flip`; `resized` is the height and width before the crop, `side`
    those after it. The result is `(B, C, side, side)` of `float32`, from 0 to 255.
    """
    draws = uniform_draws(index, num_draws=4, seed=seed, epoch=epoch)
    rotated = rotate(resize(pixels, resized), degrees * (2 * draws[:, 0] - 1))
    top, left = (draws[:, 1:3] * (resized - side + 1)).long().unbind(1)
    return flip(crop(rotated, top=top, left=left, side=side), draws[:, 3] < 0.5)


def crop(pixels: Tensor, *, top: Tensor, left: Tensor, side: int) -> Tensor:
    """Cut a square out of each image `(B, C, H, W)`; beyond its edges an image is mirrored, with the edge repeated.

    `top` and `left`, `(B,)`, are the first row and column of each square; negative ones lie outside the image.
    """
    height, width = pixels.shape[-2:]
    rows = _mirrored(top[:, None] + torch.arange(side), height)
    columns = _mirrored(left[:, None] + torch.arange(side), width)
    return pixels.take_along_dim(rows[:, None, :, None], dim=2).take_along_dim(columns[:, None, None, :], dim=3)


def flip(pixels: Tensor, flipped: Tensor) -> Tensor:
    """Exchange left and right in the images `(B, C, H, W)` for which `flipped`, `(B,)`, is true."""
    return torch.where(flipped[:, None, None, None], pixels.flip(-1), pixels)


def rotate(pixels: Tensor, degrees: Tensor) -> Tensor:
    """Rotate square images `(B, C, S, S)` about their centers, by nearest pixels; what comes from outside is black.

    `degrees`, `(B,)`, are counterclockwise; the result is `float32`.
    """
    angle = degrees * radians(1)
    zero = torch.zeros_like(angle)
    # Each row of the matrix gives one old coordinate of a new pixel; image rows count downwards.
    rows = [torch.stack([angle.cos(), -angle.sin(), zero], 1), torch.stack([angle.sin(), angle.cos(), zero], 1)]
    grid = affine_grid(torch.stack(rows, 1).float(), list(pixels.shape), align_corners=False)
    return grid_sample(pixels.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)


def resize(pixels: Tensor, side: int) -> Tensor:
    """Resize images `(B, C, H, W)` to `(B, C, side, side)` of `float32`, linearly between pixels."""
    return interpolate(pixels.float(), size=(side, side), mode="bilinear", antialias=True)


def _shift(pixels: Tensor, draws: Tensor, padding: int) -> Tensor:
    top, left = (draws * (2 * padding + 1)).long().unbind(1)
    return crop(pixels, top=top - padding, left=left - padding, side=pixels.shape[-1])


def _mirrored(positions: Tensor, length: int) -> Tensor:
    below = torch.where(positions < 0, -1 - positions, positions)
    return torch.where(below >= length, 2 * length - 1 - below, below)
