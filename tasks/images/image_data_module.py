"""What the data modules of published images share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tasks.data.batches import Batch, TensorBatches
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.splits import random_split
from tasks.images.files import read_images
from tasks.images.inputs import Inputs
from tasks.images.published.labelled_images import ReadImages, concatenate

FRACTIONS = (0.9, 0.1)


class ImageDataModule(InMemoryDataModule):
    """Images that lie in memory as bytes, published in two splits; batches become inputs when they are indexed.

    A random tenth of the training images validates.

    Args:
        read: Reads the published training and test images.
        inputs: Makes inputs of the pixels of a batch.
        augmentation: Called as `augmentation(pixels, index, epoch, seed=...)`, changes the pixels of a training batch.
        root: Folder of all data sets; the archives lie in a folder of their own within it.
        augment: Change the training images at random.
        select_on_test: Train on all training images and choose the epoch on the test split, as some published numbers
            did. The result records it: such a number is no estimate for new samples.
        batch_size: Samples a batch.
        split_seed: Seed of the split; the seed of the training does not change the split. 42 gives the split of S4
            and CCNN.
        seed: Seed of the order and the augmentation of the training images; the command links it to
            `seed_everything`.
        num_workers: Processes that load; 0 is fastest without augmentation.

    Raises:
        UserError: As `InMemoryDataModule`.
    """

    def __init__(
        self,
        *,
        read: ReadImages,
        inputs: Inputs,
        augmentation: Callable[..., Tensor],
        root: Path = Path("data"),
        augment: bool = False,
        select_on_test: bool = False,
        batch_size: int = 50,
        split_seed: int = 42,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, split_seed=split_seed, seed=seed, num_workers=num_workers)
        self.read, self.inputs, self.root = read, inputs, Path(root)
        self.augmentation = partial(augmentation, seed=seed) if augment else None
        self.selected_on = "test" if select_on_test else "validation"
        self.num_spatial_dims, self.in_channels, self.size = inputs.num_spatial_dims, inputs.in_channels, inputs.size

    def read_splits(self) -> dict[str, TensorBatches]:
        """Read the images, and split them; positions of test images follow those of the training images."""
        train, test = self.read(self.root)
        num_train = len(train.labels)
        pixels, labels = map(torch.from_numpy, concatenate([train, test]))
        rows = {"train": torch.arange(num_train), "test": torch.arange(num_train, len(labels))}
        if self.selected_on == "test":
            rows["val"] = rows["test"]
        else:
            rows["train"], rows["val"] = random_split(num_train, fractions=FRACTIONS, seed=self.split_seed)
        splits = {}
        for split in SPLITS:
            augmentation, index = self.augmentation if split == "train" else None, rows[split]
            transform = partial(transform_images, inputs=self.inputs, augmentation=augmentation)
            splits[split] = TensorBatches(x=pixels[index], y=labels[index], index=index, transform=transform)
        return splits

    def read_samples(self, path: Path) -> dict[str, Tensor]:
        """Read new square images, as `read_images` does; values are from 0 to 255, and images are resized to fit."""
        samples = read_images(path, channels=len(self.inputs.normalization.mean), largest=255)
        return {name: self.inputs(pixels[None])[0] for name, pixels in samples.items()}


def transform_images(batch: Batch, epoch: int, *, inputs: Inputs, augmentation: Callable[..., Tensor] | None) -> Batch:
    """Turn the bytes of a batch into inputs, augmented before where there is an augmentation."""
    pixels = augmentation(batch["x"], batch["index"], epoch) if augmentation else batch["x"]
    return {**batch, "x": inputs(pixels)}
