"""STL-10: 96x96 photographs, enlarged to 256x256 as published."""

from functools import partial
from pathlib import Path
from typing import Literal

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from tasks.data.archives import Archive, find_archive
from tasks.data.batches import TensorBatches, check_batch_size
from tasks.data.data_module import count_parts, load_test, load_train, load_val
from tasks.data.tar_members import read_tar_members
from tasks.images.augmentation import resize, rotate_crop_and_flip
from tasks.images.image_data_module import image_parts
from tasks.images.inputs import Normalization, as_inputs, input_size
from tasks.images.published.labelled_images import LabelledImages, count_images, labelled_images

FOLDER = "stl10"
ARCHIVES = (
    Archive(
        name="stl10_binary.tar.gz",
        urls=(
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        ),
        md5="91f7769df0f17e558f3565bffb0c7dfb",
    ),
)
MEMBERS = tuple(f"stl10_binary/{name}.bin" for name in ("train_X", "train_y", "test_X", "test_y"))
CLASS_NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
CHANNELS, PUBLISHED_SIDE, SIDE = 3, 96, 256
NORMALIZATION = Normalization(mean=(0.4467, 0.4398, 0.4066), deviation=(0.2603, 0.2566, 0.2713))


def read_stl10(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the published training and test images; those without labels are left out.

    Args:
        root: Folder of all data sets.

    Returns:
        Training and test images, each `(N, 3, 96, 96)`.

    Raises:
        FileNotFoundError: If the archive is missing.
        ValueError: If the archive is broken.
    """
    path = find_archive(ARCHIVES[0], root=root, folder=FOLDER, dataset="images.stl10")
    train_x, train_y, test_x, test_y = read_tar_members(path, MEMBERS)
    return (
        _read_part(train_x, train_y, source=path / MEMBERS[0]),
        _read_part(test_x, test_y, source=path / MEMBERS[2]),
    )


count_samples = partial(count_images, read_stl10)


class STL10(LightningDataModule):
    """The 13,000 labelled images of STL-10: 4,500 for training, 500 for validation, 8,000 for the test.

    Args:
        root: Folder of all data sets; the archive lies in `stl10` within it.
        num_spatial_dims: 1 reads the pixels row by row, `(B, 3, 65536)`; 2 reads images, `(B, 3, 256, 256)`.
        augment: Resize the training images to 272, rotate them by up to 15 degrees, crop 256 and flip.
        select_on_test: Train on all 5,000 images and choose the epoch on the test part, as some published numbers
            did; results say so, for they are no estimate of new samples.
        batch_size: Samples a batch.
        split_seed: Seed of the split, apart from the seed of the training; 42 gives the split of CCNN.
        seed: Seed of the order and the changes of the training images; the command links it to `seed_everything`.
        num_workers: Processes that load; 0 is fastest without augmentation, the data lie in memory.
    """

    num_classes = len(CLASS_NAMES)
    class_names = CLASS_NAMES
    in_channels = 3

    def __init__(
        self,
        *,
        root: Path = Path("data"),
        num_spatial_dims: Literal[1, 2] = 2,
        augment: bool = False,
        select_on_test: bool = False,
        batch_size: int = 48,
        split_seed: int = 42,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.num_spatial_dims = num_spatial_dims
        self.size = input_size(SIDE, num_spatial_dims=num_spatial_dims)
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
        train, test = read_stl10(self.root)
        self.parts = image_parts(
            train,
            test,
            prepare=partial(_as_inputs, num_spatial_dims=self.num_spatial_dims),
            augment=partial(rotate_crop_and_flip, seed=self.seed) if self.augment else None,
            split_seed=self.split_seed,
            select_on_test=self.select_on_test,
        )

    part_sizes = property(count_parts)
    train_dataloader, val_dataloader = load_train, load_val
    test_dataloader = predict_dataloader = load_test


def _read_part(pixels: bytes, labels: bytes, *, source: Path) -> LabelledImages:
    size = CHANNELS * PUBLISHED_SIDE * PUBLISHED_SIDE
    if not pixels or not labels or len(pixels) % size:
        raise ValueError(f"{source} must hold {size} bytes an image, got {len(pixels)} bytes, {len(labels)} labels")
    # Published column by column.
    images = _bytes(pixels).reshape(-1, CHANNELS, PUBLISHED_SIDE, PUBLISHED_SIDE).transpose(2, 3).contiguous()
    return labelled_images(images, _bytes(labels).long() - 1, num_classes=len(CLASS_NAMES), source=source)


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _as_inputs(pixels: Tensor, *, num_spatial_dims: int) -> Tensor:
    return as_inputs(resize(pixels, SIDE), normalization=NORMALIZATION, num_spatial_dims=num_spatial_dims)
