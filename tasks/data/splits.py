"""Seeded splits of a data set, as sorted tensors of row numbers."""

from collections.abc import Hashable, Sequence
from math import ceil, isclose

import numpy as np
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


def grouped_split(labels: Tensor, groups: Sequence[Hashable], *, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Split such that no group lies in two splits, and the class shares are close to those of the whole.

    Groups are dealt out largest first, in random order among equals. Each goes to the split that lacks most of its
    share of the group's classes. Result and errors as of `stratified_split`.

    Raises:
        UserError: As `compute_split_sizes`, or if there are fewer groups than splits.
    """
    compute_split_sizes(len(labels), fractions)
    members: dict[Hashable, list[int]] = {}
    for row in np.random.default_rng(seed).permutation(len(labels)).tolist():
        members.setdefault(groups[row], []).append(row)
    if len(members) < len(fractions):
        raise UserError(f"groups must be at least {len(fractions)}, one for each split, got {len(members)}")
    classes = torch.unique(labels, return_inverse=True)[1].numpy()
    lacking = np.outer(fractions, np.bincount(classes))
    splits: list[list[int]] = [[] for _ in fractions]
    for rows in sorted(members.values(), key=len, reverse=True):
        counts = np.bincount(classes[rows], minlength=lacking.shape[1])
        # The share that is still lacking, in units of what the split should hold of these classes.
        need = (lacking * counts).sum(axis=1) / np.asarray(fractions)
        chosen = int(np.argmax([value if splits[place] else np.inf for place, value in enumerate(need)]))
        splits[chosen].extend(rows)
        lacking[chosen] -= counts
    return [torch.tensor(sorted(rows)) for rows in splits]


def random_split(num_samples: int, *, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Split regardless of labels; arguments, result and errors as of `stratified_split`."""
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    return [rows.sort().values for rows in torch.split(order, compute_split_sizes(num_samples, fractions))]
