"""CIFAR-10: small photographs, read pixel by pixel in colour or in gray (LRA's Image task), or as 32x32 images."""

from functools import partial
from pathlib import Path
from typing import Literal

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from tasks.data.archives import Archive, find_archive
from tasks.data.batches import TensorBatches, check_batch_size
from tasks.data.data_module import count_parts, load_test, load_train, load_val
from tasks.images.augmentation import crop_and_flip
from tasks.images.choices import chosen
from tasks.images.image_data_module import image_parts
from tasks.images.inputs import Normalization, as_inputs, input_size
from tasks.images.permutations import Permutation, reading_order
from tasks.images.published.cifar_batches import read_cifar
from tasks.images.published.labelled_images import LabelledImages, count_images, joined

FOLDER = "cifar10"
ARCHIVES = (
    Archive(
        name="cifar-10-python.tar.gz",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
        md5="c58f30108f718f92721af3b95e74349a",
    ),
)
BATCHES = tuple(
    f"cifar-10-batches-py/{name}"
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
)
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
MEAN = (0.4914, 0.4822, 0.4465)
NORMALIZATIONS = {
    "s4": Normalization(mean=MEAN, deviation=(0.247, 0.243, 0.261)),
    "multiresconv": Normalization(mean=MEAN, deviation=(0.2023, 0.1994, 0.2010)),
    "ckconv": Normalization(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225)),
}
GRAY_NORMALIZATIONS = {"s4": Normalization(mean=(122.6 / 255,), deviation=(61.0 / 255,))}


def read_cifar10(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the published training and test images.

    Args:
        root: Folder of all data sets.

    Returns:
        Training and test images, each `(N, 3, 32, 32)`.

    Raises:
        FileNotFoundError: If the archive is missing.
        ValueError: If the archive is broken.
    """
    path = find_archive(ARCHIVES[0], root=root, folder=FOLDER, dataset="images.cifar10")
    *train, test = read_cifar(path, BATCHES, label_key=b"labels", num_classes=len(CLASS_NAMES))
    return joined(train), test


count_samples = partial(count_images, read_cifar10)


def to_gray(pixels: Tensor) -> Tensor:
    """Weigh the colours as Pillow does (its mode "L", which S4 and S5 use): in integers, rounded.

    Args:
        pixels: Images in colour, `(N, 3, H, W)`, `uint8`.

    Returns:
        Images in gray, `(N, 1, H, W)`, `uint8`.
    """
    red, green, blue = pixels.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8)[:, None]


class CIFAR10(LightningDataModule):
    """The 60,000 images of CIFAR-10: 45,000 for training, 5,000 for validation, 10,000 for the test.

    Args:
        root: Folder of all data sets; the archive lies in `cifar10` within it.
        num_spatial_dims: 1 reads the pixels row by row, `(B, 3, 1024)` (sCIFAR); 2 reads images, `(B, 3, 32, 32)`.
        grayscale: Read one channel instead of three: with sequences, the Image task of the Long Range Arena.
        permutation: Order of the pixels of a sequence: `none`, `bit_reversal` or the seed of NumPy's `RandomState`.
        normalization: Mean and deviation of each channel as published: `s4` (S4, S5, CCNN), `multiresconv`
            (MultiresConv, S4's minimal example) or `ckconv`; in gray `s4` alone.
        augment: Crop (4 pixels of padding, mirrored) and flip the training images. S4's table has numbers for
            sequences with and without.
        select_on_test: Train on all 50,000 images and choose the epoch on the test part, as some published numbers
            did; results say so, for they are no estimate of new samples.
        batch_size: Samples a batch.
        split_seed: Seed of the split, apart from the seed of the training; 42 gives the split of S4.
        seed: Seed of the order and the changes of the training images; the command links it to `seed_everything`.
        num_workers: Processes that load; 0 is fastest without augmentation, the data lie in memory.
    """

    num_classes = len(CLASS_NAMES)
    class_names = CLASS_NAMES

    def __init__(
        self,
        *,
        root: Path = Path("data"),
        num_spatial_dims: Literal[1, 2] = 1,
        grayscale: bool = False,
        permutation: Permutation = "none",
        normalization: Literal["s4", "multiresconv", "ckconv"] = "s4",
        augment: bool = False,
        select_on_test: bool = False,
        batch_size: int = 50,
        split_seed: int = 42,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.num_spatial_dims = num_spatial_dims
        self.size = input_size(SIDE, num_spatial_dims=num_spatial_dims, permutation=permutation)
        self.order = reading_order(permutation, SIDE * SIDE)
        self.grayscale = grayscale
        self.in_channels = 1 if grayscale else 3
        choices = GRAY_NORMALIZATIONS if grayscale else NORMALIZATIONS
        self.normalization = chosen("normalization", normalization, choices)
        self.augment = augment
        self.select_on_test = select_on_test
        self.batch_size = check_batch_size(batch_size)
        self.split_seed = split_seed
        self.seed = seed
        self.num_workers = num_workers
        self.parts: dict[str, TensorBatches] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read and split the images.

        Args:
            stage: Unused; the parts are read once, together.
        """
        if self.parts:
            return
        train, test = read_cifar10(self.root)
        if self.grayscale:
            train, test = (LabelledImages(to_gray(images.pixels), images.labels) for images in (train, test))
        self.parts = image_parts(
            train,
            test,
            prepare=partial(
                as_inputs,
                normalization=self.normalization,
                num_spatial_dims=self.num_spatial_dims,
                order=self.order,
            ),
            augment=partial(crop_and_flip, seed=self.seed) if self.augment else None,
            split_seed=self.split_seed,
            select_on_test=self.select_on_test,
        )

    part_sizes = property(count_parts)
    train_dataloader, val_dataloader = load_train, load_val
    test_dataloader = predict_dataloader = load_test
