"""Seeded splits of a data set, as sorted tensors of row numbers."""

from collections.abc import Sequence
from math import ceil, isclose

import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from tasks.errors import UserError


def compute_split_sizes(num_samples: int, fractions: Sequence[float]) -> list[int]:
    """Turn fractions into counts: every count but the first is rounded up, the first takes the rest.

    Raises:
        UserError: If the fractions are not positive with sum 1, or if a split would be empty.
    """
    if not fractions or min(fractions) <= 0 or not isclose(sum(fractions), 1.0):
        raise UserError(f"fractions must be positive and sum to 1, got {list(fractions)}")
    # 0.2 * 1800 is 360.00000000000006 in floating point; that must not become 361.
    later = [ceil(round(num_samples * fraction, 6)) for fraction in fractions[1:]]
    sizes = [num_samples - sum(later), *later]
    if min(sizes) < 1:
        raise UserError(f"num_samples must leave no split empty, got {num_samples} for fractions {list(fractions)}")
    return sizes


def stratified_split(labels: Tensor, *, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Split such that each split has the class shares of the whole.

    Return one sorted tensor of rows for each fraction; together the tensors hold each row once.

    Raises:
        UserError: As `compute_split_sizes`, or if a class has fewer samples than there are splits.
    """
    sizes = compute_split_sizes(len(labels), fractions)
    fewest = int(torch.unique(labels, return_counts=True)[1].min())
    if fewest < len(fractions):
        raise UserError(f"labels must hold each class at least {len(fractions)} times, got a class with {fewest}")
    rest = list(range(len(labels)))
    splits: list[list[int]] = []
    for size in reversed(sizes[1:]):
        rest, split = train_test_split(rest, test_size=size, random_state=seed, stratify=labels[rest].tolist())
        splits.insert(0, split)
    return [torch.tensor(sorted(split)) for split in (rest, *splits)]


def random_split(num_samples: int, *, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Split regardless of labels; arguments, result and errors as of `stratified_split`."""
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    return [rows.sort().values for rows in torch.split(order, compute_split_sizes(num_samples, fractions))]
