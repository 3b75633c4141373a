"""Seeded splits of a data set into parts, as index tensors."""

from collections.abc import Sequence
from math import ceil, isclose

import torch
from sklearn.model_selection import train_test_split
from torch import Tensor


def part_sizes(num_samples: int, fractions: Sequence[float]) -> list[int]:
    """Turn fractions into counts: every part but the first is rounded up, the first takes the rest.

    Args:
        num_samples: Samples to distribute.
        fractions: Share of each part; they sum to 1.

    Returns:
        One count per fraction; they sum to `num_samples`.

    Raises:
        ValueError: If the fractions are not positive and summing to 1, or if a part would be empty.
    """
    if not fractions or min(fractions) <= 0 or not isclose(sum(fractions), 1.0):
        raise ValueError(f"fractions must be positive and sum to 1, got {list(fractions)}")
    # 0.2 * 1800 is 360.00000000000006 in floating point; that must not become 361.
    later = [ceil(round(num_samples * fraction, 6)) for fraction in fractions[1:]]
    sizes = [num_samples - sum(later), *later]
    if min(sizes) < 1:
        raise ValueError(f"num_samples must leave no part empty, got {num_samples} for fractions {list(fractions)}")
    return sizes


def stratified_split(labels: Tensor, *, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Split so that every part has the class shares of the whole.

    Args:
        labels: Class of each sample, `(N,)`.
        fractions: Share of each part; they sum to 1.
        seed: The same seed gives the same parts.

    Returns:
        One sorted index tensor per fraction; together they hold each index once.

    Raises:
        ValueError: If the fractions are not positive and summing to 1, if a part would be empty, or if a class has
            fewer samples than there are parts.
    """
    sizes = part_sizes(len(labels), fractions)
    fewest = int(labels.unique(return_counts=True)[1].min())
    if fewest < len(fractions):
        raise ValueError(f"labels must hold each class at least {len(fractions)} times, got a class with {fewest}")
    rest, parts = list(range(len(labels))), []
    for size in reversed(sizes[1:]):
        rest, part = train_test_split(rest, test_size=size, random_state=seed, stratify=labels[rest].tolist())
        parts.insert(0, part)
    return [torch.tensor(sorted(part)) for part in (rest, *parts)]


def random_split(num_samples: int, *, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Split without looking at labels.

    Args:
        num_samples: Samples to distribute.
        fractions: Share of each part; they sum to 1.
        seed: The same seed gives the same parts.

    Returns:
        One sorted index tensor per fraction; together they hold each index once.

    Raises:
        ValueError: If the fractions are not positive and summing to 1, or if a part would be empty.
    """
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    return [part.sort().values for part in order.split(part_sizes(num_samples, fractions))]
