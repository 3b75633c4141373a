"""CIFAR-100: small photographs of a hundred classes, as 32x32 images or pixel by pixel."""

from typing import Any, Literal

from tasks.images.augmentation import crop_and_flip
from tasks.images.image_data_module import ImageDataModule
from tasks.images.inputs import Inputs, Normalization
from tasks.images.published.cifar100 import CLASS_NAMES, read_cifar100
from tasks.images.published.cifar_batches import SIDE

NORMALIZATION = Normalization(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))


class CIFAR100(ImageDataModule):
    """The 60,000 images of CIFAR-100: 45,000 for training, 5,000 for validation, 10,000 for the test.

    Augmentation crops the training images (4 pixels of padding, mirrored) and flips half of them. Other options are
    those of `ImageDataModule`.

    Args:
        num_spatial_dims: 1 reads the pixels row by row, `(B, 3, 1024)`; 2 reads images, `(B, 3, 32, 32)`.
    """

    class_names = CLASS_NAMES

    def __init__(self, *, num_spatial_dims: Literal[1, 2] = 2, **options: Any) -> None:
        inputs = Inputs(side=SIDE, normalization=NORMALIZATION, num_spatial_dims=num_spatial_dims)
        super().__init__(read=read_cifar100, inputs=inputs, augmentation=crop_and_flip, **options)
