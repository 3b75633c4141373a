"""MNIST: handwritten digits, read pixel by pixel (in order, or permuted), or as 28x28 images."""

from typing import Any, Literal

from tasks.images.augmentation import shift
from tasks.images.image_data_module import ImageDataModule
from tasks.images.inputs import Inputs, Normalization, choose_normalization
from tasks.images.permutations import Permutation
from tasks.images.published.mnist import CLASS_NAMES, SIDE, read_mnist

NORMALIZATIONS = {
    "unit": Normalization(mean=(0.0,), std=(1.0,)),
    "standardized": Normalization(mean=(0.1307,), std=(0.3081,)),
}


class MNIST(ImageDataModule):
    """The 70,000 digits of MNIST: 54,000 for training, 6,000 for validation, 10,000 for the test.

    Augmentation shifts the training images by up to 2 pixels. Other options are those of `ImageDataModule`.

    Args:
        num_spatial_dims: 1 reads the pixels row by row, `(B, 1, 784)`; 2 reads images, `(B, 1, 28, 28)`.
        permutation: Order of the pixels of a sequence: `none` (sMNIST), `bit_reversal` (pMNIST of S4 and S5), or the
            seed of NumPy's `RandomState` (pMNIST of older papers, 92916, and of CKConv and CCNN, 0).
        normalization: `unit` reads black as 0 and white as 1 (S4, S5); `standardized` subtracts 0.1307 and divides by
            0.3081 (CKConv, CCNN).
        patch_size: Side p of the squares of pixels that one position of an image holds as channels,
            `(B, p * p, 28 / p, 28 / p)`.
    """

    class_names = CLASS_NAMES

    def __init__(
        self,
        *,
        num_spatial_dims: Literal[1, 2] = 1,
        permutation: Permutation = "none",
        normalization: Literal["unit", "standardized"] = "unit",
        patch_size: int = 1,
        **options: Any,
    ) -> None:
        inputs = Inputs(
            side=SIDE,
            normalization=choose_normalization(normalization, NORMALIZATIONS),
            num_spatial_dims=num_spatial_dims,
            permutation=permutation,
            patch_size=patch_size,
        )
        super().__init__(read=read_mnist, inputs=inputs, augmentation=shift, **options)
