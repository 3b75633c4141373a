import re

import numpy as np
import pytest
import torch

from tasks.data.data_module import check_data_module
from tasks.data.sequences import data_module
from tasks.data.sequences.arrays import make_sequences
from tasks.data.sequences.data_module import SequenceDataModule, encode_targets
from tasks.errors import UserError

RANDOM = np.random.default_rng(0)
X = [RANDOM.normal(size=(2, length)) + 3 for length in RANDOM.integers(3, 12, size=60)]
Y = np.array(["b", "a", "c"])[np.arange(60) % 3]


class Given(SequenceDataModule):
    def __init__(self, x=X, y=Y, *, columns=None, **options):
        super().__init__(**options)
        self.sequences = make_sequences(x, y=y, **(columns or {}))

    def read(self):
        return self.sequences

    def read_file(self, path):
        return self.sequences


def rows(data):
    if not data.splits:
        data.setup()
    return {split: batches.index.tolist() for split, batches in data.splits.items()}


def test_a_module_of_sequences_passes_the_check_of_data_modules():
    data = Given()
    data.setup()
    check_data_module(data)
    assert (data.class_names, data.in_channels, data.size) == (("a", "b", "c"), 2, (11,))
    assert data.split_sizes == {"train": 42, "val": 6, "test": 12}


# Splits.


def test_each_split_has_the_class_shares_of_the_whole_and_the_seed_decides():
    data = Given()
    told = rows(data)
    assert sorted(sum(told.values(), [])) == list(range(60))
    assert [Y[told["test"]].tolist().count(name) for name in "abc"] == [4, 4, 4]
    assert told == rows(Given()) != rows(Given(split_seed=1))


def test_a_group_stays_in_one_split():
    group = [f"g{row // 3}" for row in range(60)]
    told = rows(Given(columns={"group": group}))
    assert sum(len({group[row] for row in split}) for split in told.values()) == 20
    assert all(len(split) > 3 for split in told.values())


def test_equal_sequences_stay_in_one_split_and_bind_their_groups():
    x = [X[row % 30] for row in range(60)]
    told = rows(Given(x, columns={"group": [f"g{row // 2}" for row in range(60)]}))
    for split in told.values():
        assert {(row + 30) % 60 for row in split} == set(split) == {row ^ 1 for row in split}


def test_named_splits_are_kept_and_a_part_of_the_training_validates():
    split = np.where(np.arange(60) < 15, "test", "train")
    told = rows(Given(columns={"split": split}, validation=0.2))
    assert told["test"] == list(range(15)) and len(told["val"]) == 9
    assert sorted(told["val"] + told["train"]) == list(range(15, 60))


def test_without_validation_all_of_the_training_split_trains_and_no_epoch_is_chosen():
    data = Given(columns={"split": ["train"] * 50 + ["test"] * 10}, validation=0)
    assert len(rows(data)["train"]) == 50 and data.selected_on == "last" and data.val_dataloader() == []
    assert data.split_sizes == {"train": 50, "val": 0, "test": 10}
    check_data_module(data)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"split": ["train"] * 60}, "split must name sequences for test, got none"),
        ({"split": ["test"] * 60}, "split must name sequences for train, got none"),
        (
            {"split": ["train", "test"] * 30, "group": [f"g{row // 3}" for row in range(60)]},
            "group must lie in one split, got 'g0' in test and train",
        ),
    ],
)
def test_named_splits_that_cannot_be_are_refused(columns, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        Given(columns=columns).setup()


def test_equal_sequences_in_two_named_splits_are_refused_or_counted_where_others_published_them():
    x, split = [X[1], *X[1:]], ["train", "test"] * 30
    with pytest.raises(
        UserError, match=r"a sequence must lie in one split, got equal values in '0' and '1' \(1 such pai"
    ):
        Given(x, columns={"split": split}).setup()

    class Published(Given):
        splits_are_published = True

    data = Published(x, columns={"split": split})
    data.setup()
    assert data.describe()["duplicates"] == "1 sequences lie in two splits"


# Values.


def test_channels_are_normalized_by_the_training_split_alone():
    data = Given()
    data.setup()
    train = np.concatenate([X[row] for row in rows(data)["train"]], axis=1)
    for batches in data.splits.values():
        for x, row in zip(batches.x, batches.index.tolist(), strict=True):
            wanted = (X[row] - train.mean(axis=1, keepdims=True)) / train.std(axis=1, keepdims=True)
            assert np.allclose(x, wanted, atol=1e-5)


@pytest.mark.parametrize("normalization", ["channel", "sample", "none"])
@pytest.mark.parametrize("reads_anew", [False, True])
def test_long_data_are_normalized_in_parts_and_in_place_only_where_nobody_else_holds_them(
    monkeypatch, normalization, reads_anew
):
    whole, parts = Given(normalization=normalization), Given(normalization=normalization)
    whole.setup()
    given = parts.sequences.x.values.clone()
    monkeypatch.setattr(data_module, "POSITIONS_AT_ONCE", 7)
    monkeypatch.setattr(Given, "reads_anew", reads_anew)
    parts.setup()
    for ours, theirs in zip(parts.splits["train"].x, whole.splits["train"].x, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert parts.sequences.x.values.equal(given) == (normalization == "none" or not reads_anew)


def test_each_sequence_may_be_normalized_alone_and_a_constant_channel_becomes_zero():
    x = [*X[:-1], np.stack([np.full(5, 7.0), np.arange(5.0)])]
    data = Given(x, normalization="sample")
    data.setup()
    (told,) = [x for split in data.splits.values() for x, row in zip(split.x, split.index, strict=True) if row == 59]
    assert not told[0].any() and told[1].mean().abs() < 1e-6 and abs(told[1].std(correction=0) - 1) < 1e-6


def test_values_may_stay_as_they_are():
    data = Given(normalization="none")
    data.setup()
    split = data.splits["test"]
    assert np.array_equal(split.x[0], X[int(split.index[0])].astype(np.float32))


def test_missing_values_are_refused_by_place_or_filled_and_indicated():
    x = [each.copy() for each in X]
    x[4][1, 2] = x[7][0, :] = np.nan
    with pytest.raises(UserError, match=re.escape("with missing: refuse, got ")) as caught:
        Given(x).setup()
    assert f"got {1 + x[7].shape[1]}, the first in '7' at channel 0, position 0; missing: indicate" in str(caught.value)
    data = Given(x, missing="indicate")
    data.setup()
    assert data.in_channels == 4 and data.describe()["missing"] == f"{1 + x[7].shape[1]} values"
    told = {int(row): x for split in data.splits.values() for x, row in zip(split.x, split.index, strict=True)}
    for row, given in enumerate(x):
        missing = np.isnan(given)
        assert np.array_equal(told[row][2:], missing) and not told[row][:2][torch.from_numpy(missing)].any()


def test_what_the_training_taught_travels_with_the_checkpoint():
    data, other = Given(), Given([each * 5 for each in X])
    data.setup()
    other.load_state_dict(data.state_dict())
    told = other.read_samples("new.npz")
    mean, std = (np.array(data.learnt[name])[:, None] for name in ("mean", "std"))
    assert list(told)[:2] == ["new.npz:0", "new.npz:1"] and np.allclose(
        told["new.npz:3"], (X[3] * 5 - mean) / std, atol=1e-4
    )
    with pytest.raises(UserError, match="x must have 2 channels, as in training, got 1"):
        wrong = Given(np.zeros((3, 1, 4)), y=["a"] * 3)
        wrong.load_state_dict(data.state_dict())
        wrong.read_samples("new.npz")


def test_the_plan_shows_lengths_balance_and_padding():
    data = Given()
    data.setup()
    told = data.describe()
    assert told["lengths"] == "3 to 11, median 7" and told["balance"] == "14 a class in training"
    assert re.fullmatch(r"\d+\.\d% of a training epoch", told["padding"])
    other = Given(np.arange(720).reshape(60, 2, 6), y=["a", "b", "a"] * 20)
    other.setup()
    told = other.describe()
    assert told["lengths"] == "6 each" and told["balance"] == "14 (b) to 28 (a) a class in training"
    assert "padding" not in told


# Targets.


def test_classes_are_sorted_by_number_or_by_text():
    assert encode_targets(np.array([10, 9, 10]), kind="classes")[1] == ["9", "10"]
    assert encode_targets(np.array(["10", "9"]), kind="classes")[1] == ["9", "10"]
    assert encode_targets(np.array(["b", "a"]), kind="classes")[0].tolist() == [1, 0]
    assert encode_targets(np.array([1.0, -1.0]), kind="classes")[1] == ["-1", "1"]


def test_numbers_and_labels_become_columns():
    told, names = encode_targets(np.array(["0.5", "2"]), kind="numbers")
    assert told.tolist() == [[0.5], [2.0]] and told.dtype == torch.float32 and names == ["target_1"]
    told, names = encode_targets(np.array([[0, 1], [1, 1]]), kind="labels")
    assert told.tolist() == [[0, 1], [1, 1]] and names == ["label_1", "label_2"]


@pytest.mark.parametrize(
    ("y", "kind", "fault"),
    [
        ([0.5, 1.0], "classes", "y must be classes with targets: classes, got 0.5; real numbers want targets: numbers"),
        ([np.nan, 1.0], "classes", "y must be classes with targets: classes, got nan"),
        (["a", " "], "classes", "y must name a class for each sequence, got an empty text at sequence 1"),
        ([[0, 1], [1, 0]], "classes", "y must be (N,) with targets: classes, got (2, 2)"),
        (["1", "x"], "numbers", "y must hold numbers with targets: numbers, got 'x'"),
        ([1.0, np.inf], "numbers", "y must be finite, got inf"),
        ([[0, 2]], "labels", "y must hold 0 and 1 with targets: labels, got 2"),
    ],
)
def test_targets_of_another_kind_are_refused(y, kind, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        encode_targets(np.array(y), kind=kind)


def test_a_class_that_training_did_not_know_is_refused():
    with pytest.raises(UserError, match="y must hold classes of the training, a, b, got 'c'"):
        encode_targets(np.array(["a", "c"]), kind="classes", class_names=["a", "b"])


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"y": None}, "the data must hold targets y to train on, got none"),
        ({"y": ["a"] * 60}, "y must hold at least 2 classes, got 1 ('a')"),
        ({"y": ["a"] * 59 + ["b"]}, "y must have enough samples of each class"),
        ({"validation": 0.6}, "validation must lie in [0, 0.5], got 0.6"),
        (
            {"columns": {"split": ["train"] * 30 + ["test"] * 30}, "y": ["a", "b"] * 15 + ["c"] * 30},
            "the training split must hold every class, got 'c' in test alone",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(arguments, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        Given(**arguments).setup()
