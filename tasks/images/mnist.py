"""MNIST: handwritten digits, read pixel by pixel (in order, or permuted), or as 28x28 images."""

from functools import partial
from pathlib import Path
from typing import Literal

from pytorch_lightning import LightningDataModule

from tasks.data.archives import Archive, find_archive
from tasks.data.batches import TensorBatches, check_batch_size
from tasks.data.data_module import count_parts, load_test, load_train, load_val
from tasks.images.augmentation import shift
from tasks.images.choices import chosen
from tasks.images.image_data_module import image_parts
from tasks.images.inputs import Normalization, as_inputs, input_size
from tasks.images.permutations import Permutation, reading_order
from tasks.images.published.idx import read_idx
from tasks.images.published.labelled_images import LabelledImages, count_images, labelled_images

FOLDER = "mnist"
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
# Mirrors compressed the files anew, so their content is what can be compared.
ARCHIVES = tuple(
    Archive(name=name, urls=tuple(mirror + name for mirror in MIRRORS), md5=md5, md5_of="content")
    for name, md5 in (
        ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
    )
)
SIDE = 28
NUM_CLASSES = 10
NORMALIZATIONS = {
    "unit": Normalization(mean=(0.0,), deviation=(1.0,)),
    "standardized": Normalization(mean=(0.1307,), deviation=(0.3081,)),
}


def read_mnist(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the published training and test images.

    Args:
        root: Folder of all data sets.

    Returns:
        Training and test images, each `(N, 1, 28, 28)`.

    Raises:
        FileNotFoundError: If an archive is missing.
        ValueError: If an archive is broken.
    """
    paths = [find_archive(archive, root=root, folder=FOLDER, dataset="images.mnist") for archive in ARCHIVES]
    return _read_part(*paths[:2]), _read_part(*paths[2:])


count_samples = partial(count_images, read_mnist)


class MNIST(LightningDataModule):
    """The 70,000 digits of MNIST: 54,000 for training, 6,000 for validation, 10,000 for the test.

    Args:
        root: Folder of all data sets; the archives lie in `mnist` within it.
        num_spatial_dims: 1 reads the pixels row by row, `(B, 1, 784)`; 2 reads images, `(B, 1, 28, 28)`.
        permutation: Order of the pixels of a sequence: `none` (sMNIST), `bit_reversal` (pMNIST of S4 and S5), or the
            seed of NumPy's `RandomState` (pMNIST of older papers, 92916, and of CKConv and CCNN, 0).
        normalization: `unit` reads black as 0 and white as 1 (S4, S5); `standardized` subtracts 0.1307 and divides by
            0.3081 (CKConv, CCNN).
        patch_size: Height and width p of the squares of pixels that one position of an image holds as channels:
            `(B, p * p, 28 / p, 28 / p)`, without loss.
        augment: Shift the training images by up to 2 pixels.
        select_on_test: Train on all 60,000 images and choose the epoch on the test part, as some published numbers
            did; results say so, for they are no estimate of new samples.
        batch_size: Samples a batch.
        split_seed: Seed of the split, apart from the seed of the training; 42 gives the split of S4.
        seed: Seed of the order and the shifts of the training images; the command links it to `seed_everything`.
        num_workers: Processes that load; 0 is fastest, the data lie in memory.
    """

    num_classes = NUM_CLASSES
    class_names = tuple(str(digit) for digit in range(NUM_CLASSES))

    def __init__(
        self,
        *,
        root: Path = Path("data"),
        num_spatial_dims: Literal[1, 2] = 1,
        permutation: Permutation = "none",
        normalization: Literal["unit", "standardized"] = "unit",
        patch_size: int = 1,
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
        self.size = input_size(SIDE, num_spatial_dims=num_spatial_dims, permutation=permutation, patch_size=patch_size)
        self.in_channels = patch_size**2
        self.patch_size = patch_size
        self.order = reading_order(permutation, SIDE * SIDE)
        self.normalization = chosen("normalization", normalization, NORMALIZATIONS)
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
        train, test = read_mnist(self.root)
        self.parts = image_parts(
            train,
            test,
            prepare=partial(
                as_inputs,
                normalization=self.normalization,
                num_spatial_dims=self.num_spatial_dims,
                order=self.order,
                patch_size=self.patch_size,
            ),
            augment=partial(shift, seed=self.seed) if self.augment else None,
            split_seed=self.split_seed,
            select_on_test=self.select_on_test,
        )

    part_sizes = property(count_parts)
    train_dataloader, val_dataloader = load_train, load_val
    test_dataloader = predict_dataloader = load_test


def _read_part(images: Path, labels: Path) -> LabelledImages:
    pixels = read_idx(images, num_axes=3)
    if pixels.shape[1:] != (SIDE, SIDE):
        height, width = pixels.shape[1:]
        raise ValueError(f"{images} must hold images of {SIDE}x{SIDE} pixels, got {height}x{width}")
    return labelled_images(pixels[:, None], read_idx(labels, num_axes=1), num_classes=NUM_CLASSES, source=labels)
