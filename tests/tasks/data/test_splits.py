import pytest
import torch
from torch.utils.data import random_split as torch_random_split

from tasks.data.splits import compute_split_sizes, grouped_split, random_split, stratified_split

LABELS = torch.arange(10).repeat_interleave(180)
FRACTIONS = (0.7, 0.1, 0.2)


def both(seed):
    yield stratified_split(LABELS, fractions=FRACTIONS, seed=seed)
    yield random_split(len(LABELS), fractions=FRACTIONS, seed=seed)


def test_splits_are_disjoint_and_hold_every_index():
    for splits in both(42):
        assert [len(rows) for rows in splits] == [1260, 180, 360]
        assert torch.equal(torch.cat(splits).sort().values, torch.arange(len(LABELS)))


def test_the_same_seed_gives_the_same_splits_and_another_seed_others():
    for first, again, other in zip(both(42), both(42), both(43), strict=True):
        assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
        assert not torch.equal(first[2], other[2])


def test_a_stratified_split_has_the_class_shares_of_the_whole():
    labels = torch.tensor([0] * 100 + [1] * 300 + [2] * 600)
    for rows, share in zip(stratified_split(labels, fractions=FRACTIONS, seed=1), FRACTIONS, strict=True):
        assert labels[rows].bincount().tolist() == [round(100 * share), round(300 * share), round(600 * share)]


def test_later_splits_are_rounded_up_and_the_first_takes_the_rest():
    assert compute_split_sizes(1797, FRACTIONS) == [1257, 180, 360]
    assert compute_split_sizes(1800, FRACTIONS) == [1260, 180, 360]
    assert compute_split_sizes(3, FRACTIONS) == [1, 1, 1]


def test_wrong_fractions_empty_splits_and_rare_classes_are_refused():
    with pytest.raises(ValueError, match=r"fractions must be positive and sum to 1, got \[0.5, 0.4\]"):
        compute_split_sizes(10, (0.5, 0.4))
    with pytest.raises(ValueError, match="num_samples must leave no split empty, got 2"):
        compute_split_sizes(2, FRACTIONS)
    with pytest.raises(ValueError, match="labels must hold each class at least 3 times, got a class with 1"):
        stratified_split(torch.tensor([0] * 20 + [1]), fractions=FRACTIONS, seed=0)


@pytest.mark.parametrize("most", [1, 3, 20])
def test_groups_stay_whole_and_splits_keep_sizes_and_classes(most):
    random = torch.Generator().manual_seed(most)
    groups = torch.arange(900)[torch.randint(0, 900 // most, (900,), generator=random)].tolist()
    labels = (torch.arange(900) % 10 >= 3).long()
    splits = grouped_split(labels, groups, fractions=FRACTIONS, seed=1)
    assert torch.equal(torch.cat(splits).sort().values, torch.arange(900))
    found = [{groups[row] for row in rows} for rows in splits]
    assert not (found[0] & found[1] | found[0] & found[2] | found[1] & found[2])
    for rows, share in zip(splits, FRACTIONS, strict=True):
        for count, whole in zip(labels[rows].bincount().tolist(), (270, 630), strict=True):
            assert abs(count - share * whole) <= 2 + most
    again, other = (grouped_split(labels, groups, fractions=FRACTIONS, seed=seed) for seed in (1, 2))
    assert all(map(torch.equal, splits, again)) and not torch.equal(splits[2], other[2])


def test_as_many_groups_as_splits_fill_each_and_fewer_are_refused():
    splits = grouped_split(torch.zeros(30), [row // 10 for row in range(30)], fractions=FRACTIONS, seed=0)
    assert [len(rows) for rows in splits] == [10, 10, 10]
    with pytest.raises(ValueError, match="groups must be at least 3, one for each split, got 2"):
        grouped_split(torch.zeros(30), [row // 15 for row in range(30)], fractions=FRACTIONS, seed=0)


@pytest.mark.parametrize(
    ("num_samples", "sizes"), [(60_000, (54_000, 6_000)), (50_000, (45_000, 5_000)), (5_000, (4_500, 500))]
)
def test_a_random_split_by_seed_42_is_the_published_split_of_images(num_samples, sizes):
    published = torch_random_split(range(num_samples), sizes, generator=torch.Generator().manual_seed(42))
    for rows, expected in zip(random_split(num_samples, fractions=(0.9, 0.1), seed=42), published, strict=True):
        assert torch.equal(rows, torch.tensor(expected.indices).sort().values)
