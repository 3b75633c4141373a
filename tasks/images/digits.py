"""Handwritten digits: 1,797 real 8x8 images, read pixel by pixel as a sequence, or as images."""

from pathlib import Path
from typing import Any, Literal

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from tasks.data.batches import TensorBatches
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.splits import stratified_split
from tasks.images.files import read_images
from tasks.images.inputs import compute_input_size

FRACTIONS = (0.7, 0.1, 0.2)


class Digits(InMemoryDataModule):
    """The digits of scikit-learn (the test split of UCI's optical recognition data), with no download.

    The images are split into 70% training, 10% validation and 20% test, every class alike, and standardized with the
    mean and the standard deviation of the training pixels.

    Args:
        num_spatial_dims: 1 reads the pixels row by row, `(B, 1, 64)`; 2 reads images, `(B, 1, 8, 8)`.
        batch_size: Samples a batch.
    """

    in_channels = 1
    class_names = tuple(str(digit) for digit in range(10))

    def __init__(self, *, num_spatial_dims: Literal[1, 2] = 1, batch_size: int = 32, **options: Any) -> None:
        super().__init__(batch_size=batch_size, **options)
        self.size = compute_input_size(8, num_spatial_dims=num_spatial_dims)
        self.num_spatial_dims = num_spatial_dims

    def read_splits(self) -> dict[str, TensorBatches]:
        """Read, split and standardize the images."""
        pixels, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
        rows = stratified_split(labels, fractions=FRACTIONS, seed=self.split_seed)
        if not self.learnt:
            std, mean = torch.std_mean(pixels[rows[0]], correction=0)
            self.learnt = {"mean": mean.item(), "std": std.item()}
        images = self._standardize(pixels)
        return {
            split: TensorBatches(x=images[index], y=labels[index].long(), index=index)
            for split, index in zip(SPLITS, rows, strict=True)
        }

    def read_samples(self, path: Path) -> dict[str, Tensor]:
        """Read new 8x8 images, as `read_images` does; values are those of scikit-learn, from 0 to 16."""
        samples = read_images(path, channels=self.in_channels, largest=16, side=8)
        return {name: self._standardize(pixels)[0] for name, pixels in samples.items()}

    def _standardize(self, pixels: Tensor) -> Tensor:
        return ((pixels - self.learnt["mean"]) / self.learnt["std"]).float().reshape(-1, self.in_channels, *self.size)
