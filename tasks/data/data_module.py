"""The loaders of a data module whose parts lie in memory, as functions that its class takes over as methods.

train_dataloader, val_dataloader = load_train, load_val
test_dataloader = predict_dataloader = load_test
part_sizes = property(count_parts)
"""

from typing import Protocol

from torch.utils.data import DataLoader

from tasks.data.batches import Batch, TensorBatches, batch_loader


class HoldsParts(Protocol):
    """What the loaders need of a data module."""

    parts: dict[str, TensorBatches]
    batch_size: int
    seed: int
    num_workers: int


def load_train(data: HoldsParts) -> DataLoader[Batch]:
    """Load the training part, in a new order each epoch.

    Args:
        data: The data module, set up.

    Returns:
        The loader.
    """
    return _load(data, "train", seed=data.seed)


def load_val(data: HoldsParts) -> DataLoader[Batch]:
    """Load the validation part in the order of the data.

    Args:
        data: The data module, set up.

    Returns:
        The loader.
    """
    return _load(data, "val")


def load_test(data: HoldsParts) -> DataLoader[Batch]:
    """Load the test part in the order of the data: the samples that no choice was made on.

    Args:
        data: The data module, set up.

    Returns:
        The loader.
    """
    return _load(data, "test")


def count_parts(data: HoldsParts) -> dict[str, int]:
    """Count the samples of each part.

    Args:
        data: The data module.

    Returns:
        One count a part; none before the parts are set up.
    """
    return {name: len(part) for name, part in data.parts.items()}


def _load(data: HoldsParts, part: str, *, seed: int | None = None) -> DataLoader[Batch]:
    return batch_loader(data.parts[part], batch_size=data.batch_size, seed=seed, num_workers=data.num_workers)
