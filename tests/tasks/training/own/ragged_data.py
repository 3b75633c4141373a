"""Sequences of 5 to 30 steps whose mean is above or below zero."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.data.batches import TensorBatches
from tasks.data.data_module import InMemoryDataModule


class RaggedData(InMemoryDataModule):
    num_spatial_dims = 1
    in_channels = 2
    size = (24,)
    class_names = ("low", "high")

    def __init__(self, *, batch_size: int = 8, **options: Any) -> None:
        super().__init__(batch_size=batch_size, **options)

    def read_splits(self) -> dict[str, TensorBatches]:
        generator = torch.Generator().manual_seed(self.split_seed)
        lengths = torch.randint(5, 31, (60,), generator=generator).tolist()
        y = torch.arange(60) % 2
        x = [
            torch.randn(2, n, generator=generator) + 2 * label - 1 for n, label in zip(lengths, y.tolist(), strict=True)
        ]
        rows = {"train": range(40), "val": range(40, 50), "test": range(50, 60)}
        return {
            split: TensorBatches(x=[x[i] for i in chosen], y=y[list(chosen)], index=torch.tensor(list(chosen)))
            for split, chosen in rows.items()
        }

    def read_samples(self, path: Path) -> dict[str, Tensor]:
        return {str(path): torch.load(path, weights_only=True)}
