"""CIFAR-10: small photographs, read pixel by pixel in color or in gray (LRA's Image task), or as 32x32 images."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from tasks.images.augmentation import crop_and_flip
from tasks.images.image_data_module import ImageDataModule
from tasks.images.inputs import Inputs, Normalization, choose_normalization
from tasks.images.permutations import Permutation
from tasks.images.published.cifar10 import CLASS_NAMES, read_cifar10
from tasks.images.published.cifar_batches import SIDE
from tasks.images.published.labelled_images import LabelledImages

MEAN = (0.4914, 0.4822, 0.4465)
NORMALIZATIONS = {
    "s4": Normalization(mean=MEAN, std=(0.247, 0.243, 0.261)),
    "multiresconv": Normalization(mean=MEAN, std=(0.2023, 0.1994, 0.2010)),
    "ckconv": Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}
GRAY_NORMALIZATIONS = {"s4": Normalization(mean=(122.6 / 255,), std=(61.0 / 255,))}


class CIFAR10(ImageDataModule):
    """The 60,000 images of CIFAR-10: 45,000 for training, 5,000 for validation, 10,000 for the test.

    Augmentation crops the training images (4 pixels of padding, mirrored) and flips half of them; S4's table has
    numbers for sequences with and without. Other options are those of `ImageDataModule`.

    Args:
        num_spatial_dims: 1 reads the pixels row by row, `(B, 3, 1024)` (sCIFAR); 2 reads images, `(B, 3, 32, 32)`.
        grayscale: Read one channel instead of three: with sequences, the Image task of the Long Range Arena.
        permutation: Order of the pixels of a sequence: `none`, `bit_reversal` or the seed of NumPy's `RandomState`.
        normalization: Mean and standard deviation of each channel as published: `s4` (S4, S5, CCNN), `multiresconv`
            (MultiresConv, S4's minimal example) or `ckconv`; in gray `s4` alone.
    """

    class_names = CLASS_NAMES

    def __init__(
        self,
        *,
        num_spatial_dims: Literal[1, 2] = 1,
        grayscale: bool = False,
        permutation: Permutation = "none",
        normalization: Literal["s4", "multiresconv", "ckconv"] = "s4",
        **options: Any,
    ) -> None:
        inputs = Inputs(
            side=SIDE,
            normalization=choose_normalization(normalization, GRAY_NORMALIZATIONS if grayscale else NORMALIZATIONS),
            num_spatial_dims=num_spatial_dims,
            permutation=permutation,
        )
        read = read_gray if grayscale else read_cifar10
        super().__init__(read=read, inputs=inputs, augmentation=crop_and_flip, **options)


def read_gray(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the training and test images in gray, each `(N, 1, 32, 32)`; errors as of `read_cifar10`.

    The weights of the colors are those of Pillow's mode "L", which S4 and S5 use, in rounded integers.
    """

    def to_gray(images: LabelledImages) -> LabelledImages:
        red, green, blue = images.pixels.astype(np.int32).swapaxes(0, 1)
        gray = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
        return LabelledImages(gray.astype(np.uint8)[:, None], images.labels)

    train, test = read_cifar10(root)
    return to_gray(train), to_gray(test)
