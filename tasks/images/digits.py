"""Handwritten digits: 1,797 real 8x8 images, read pixel by pixel as a sequence, or as images."""

from typing import Literal

import torch
from pytorch_lightning import LightningDataModule
from sklearn.datasets import load_digits

from tasks.data.batches import TensorBatches, check_batch_size
from tasks.data.data_module import count_parts, load_test, load_train, load_val
from tasks.data.splits import stratified_split

FRACTIONS = (0.7, 0.1, 0.2)


class Digits(LightningDataModule):
    """The digits of scikit-learn (the test part of UCI's optical recognition data), with no download.

    The images are split into 70% training, 10% validation and 20% test, every class alike, and standardised with the
    mean and the deviation of the training pixels.

    Args:
        num_spatial_dims: 1 reads the pixels row by row, `(B, 1, 64)`; 2 reads images, `(B, 1, 8, 8)`.
        batch_size: Samples a batch.
        split_seed: Seed of the split, apart from the seed of the training so that seeds compare on the same samples.
        seed: Seed of the order of the training batches; the command links it to `seed_everything`.
        num_workers: Processes that load; 0 is fastest, the data lie in memory.
    """

    num_classes = 10
    class_names = tuple(str(digit) for digit in range(10))
    in_channels = 1

    def __init__(
        self,
        *,
        num_spatial_dims: Literal[1, 2] = 1,
        batch_size: int = 32,
        split_seed: int = 42,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if num_spatial_dims not in (1, 2):
            raise ValueError(f"num_spatial_dims must be 1 or 2, got {num_spatial_dims}")
        self.num_spatial_dims = num_spatial_dims
        self.size = (64,) if num_spatial_dims == 1 else (8, 8)
        self.batch_size = check_batch_size(batch_size)
        self.split_seed = split_seed
        self.seed = seed
        self.num_workers = num_workers
        self.parts: dict[str, TensorBatches] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read, split and standardise the images.

        Args:
            stage: Unused; every part is small.
        """
        pixels, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
        labels = labels.long()
        train, val, test = stratified_split(labels, fractions=FRACTIONS, seed=self.split_seed)
        deviation, mean = torch.std_mean(pixels[train], correction=0)
        images = ((pixels - mean) / deviation).float().reshape(-1, self.in_channels, *self.size)
        for name, index in (("train", train), ("val", val), ("test", test)):
            self.parts[name] = TensorBatches(x=images[index], y=labels[index], index=index)

    part_sizes = property(count_parts)
    train_dataloader, val_dataloader = load_train, load_val
    test_dataloader = predict_dataloader = load_test
