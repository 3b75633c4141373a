"""New images to predict, from files of a user."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from tasks.errors import UserError


def read_images(path: Path, *, channels: int, largest: int, side: int | None = None) -> dict[str, Tensor]:
    """Read square images by name, `(C, H, W)` of `float32`, with the values that the file holds.

    A picture (PNG, JPEG and others) is one image from 0 to 255, read in gray or in color. A `.npy` file holds one image
    `(H, W)` or `(H, W, C)`, or several, `(N, H, W)` or `(N, H, W, C)`; the last axis is left out for one channel.

    Args:
        path: The file.
        channels: Channels C that the images must have: 1 or 3.
        largest: Value of a white pixel; black is 0.
        side: Height and width that the images must have; `None` for any.

    Raises:
        UserError: If an array has another shape or holds no numbers, a pixel is out of range, or images are not square.
        OSError: If the file is missing or broken.
    """
    pixels = _read_array(path, channels) if path.suffix == ".npy" else _read_picture(path, channels)
    height, width = pixels.shape[-2:]
    if height != width or (side is not None and height != side):
        rule = f"{side}x{side} pixels" if side else "as high as wide"
        raise UserError(f"images must be {rule}, got {height}x{width}")
    if not (pixels.min() >= 0 and pixels.max() <= largest):
        raise UserError(f"pixels must be from 0 to {largest}, got from {pixels.min():g} to {pixels.max():g}")
    names = [str(path)] if len(pixels) == 1 else [f"{path}[{number}]" for number in range(len(pixels))]
    return dict(zip(names, pixels, strict=True))


def _read_picture(path: Path, channels: int) -> Tensor:
    try:
        opened = Image.open(path)
    except UnidentifiedImageError as error:
        raise UserError("images must be a picture or a .npy file, got neither") from error
    with opened as picture:
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), dtype=np.float32)
    return torch.from_numpy(pixels.copy()).reshape(1, *pixels.shape[:2], channels).movedim(-1, 1)


def _read_array(path: Path, channels: int) -> Tensor:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        # NumPy's own message tells how to load Python objects, which may run any code.
        raise UserError("images must be a whole .npy file of numbers, got something else by that name") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "uif":
        raise UserError("images must be one array of numbers, got " + str(getattr(array, "dtype", "an archive")))
    axes = array.ndim if channels == 1 else array.ndim - 1
    if axes not in (2, 3) or not array.size or (channels > 1 and array.shape[-1] != channels):
        rule = "(H, W) or (N, H, W)" if channels == 1 else f"(H, W, {channels}) or (N, H, W, {channels})"
        raise UserError(f"images must have the shape {rule}, got {array.shape}")
    images = torch.from_numpy(array.astype(np.float32))
    return images.reshape(-1, *images.shape[axes - 2 : axes], channels).movedim(-1, 1)
