"""STL-10: 96x96 photographs, enlarged to 256x256 as published."""

from typing import Any, Literal

from tasks.images.augmentation import rotate_crop_and_flip
from tasks.images.image_data_module import ImageDataModule
from tasks.images.inputs import Inputs, Normalization
from tasks.images.published.stl10 import CLASS_NAMES, read_stl10

SIDE = 256
NORMALIZATION = Normalization(mean=(0.4467, 0.4398, 0.4066), std=(0.2603, 0.2566, 0.2713))


class STL10(ImageDataModule):
    """The 13,000 labelled images of STL-10: 4,500 for training, 500 for validation, 8,000 for the test.

    Augmentation resizes the training images to 272, rotates them by up to 15 degrees, crops 256 and flips half of
    them. Other options are those of `ImageDataModule`.

    Args:
        num_spatial_dims: 1 reads the pixels row by row, `(B, 3, 65536)`; 2 reads images, `(B, 3, 256, 256)`.
        batch_size: Samples a batch.
    """

    class_names = CLASS_NAMES

    def __init__(self, *, num_spatial_dims: Literal[1, 2] = 2, batch_size: int = 48, **options: Any) -> None:
        inputs = Inputs(side=SIDE, normalization=NORMALIZATION, num_spatial_dims=num_spatial_dims)
        super().__init__(
            read=read_stl10, inputs=inputs, augmentation=rotate_crop_and_flip, batch_size=batch_size, **options
        )
