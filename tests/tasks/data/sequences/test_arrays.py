import re

import numpy as np
import pytest
import torch

from tasks.data.sequences.arrays import concatenate, hash_contents, make_sequences
from tasks.errors import UserError

LISTED = [np.arange(6.0).reshape(2, 3), np.arange(2.0).reshape(2, 1)]


def test_every_form_of_x_gives_the_same_sequences():
    flat = np.concatenate(LISTED, axis=1)
    for told in (
        make_sequences(LISTED),
        make_sequences(flat, lengths=[3, 1]),
        make_sequences([list(a) for a in LISTED]),
    ):
        assert [x.shape for x in told.x] == [(2, 3), (2, 1)] and told.x.values.dtype == torch.float32
        assert all(np.array_equal(x, wanted) for x, wanted in zip(told.x, LISTED, strict=True))


def test_dense_arrays_keep_sequences_and_channels_apart():
    dense = np.arange(24).reshape(4, 2, 3)
    assert torch.equal(make_sequences(dense).x[2], torch.from_numpy(dense[2]).float())
    assert torch.equal(make_sequences(dense[:, 0]).x[3], torch.from_numpy(dense[3, :1]).float())
    assert torch.equal(make_sequences(torch.from_numpy(dense)).x.values, make_sequences(dense).x.values)


def test_names_are_numbers_unless_given():
    assert make_sequences(LISTED).names == ("0", "1")
    told = make_sequences(LISTED, names=[b"a", 7], y=[1, 0], split=["train", "test"])
    assert told.names == ("a", "7") and told.split == ("train", "test") and told.y.tolist() == [1, 0]


def test_published_splits_are_joined_under_their_names():
    one = make_sequences(LISTED, y=["a", "b"])
    told = concatenate([one, one], split=["train", "test"])
    assert told.names == ("train[0]", "train[1]", "test[0]", "test[1]") and told.split == ("train",) * 2 + ("test",) * 2
    assert torch.equal(told.x[3], one.x[1]) and told.y.tolist() == ["a", "b"] * 2
    other = make_sequences(np.zeros((1, 3, 4)), y=["a"])
    with pytest.raises(UserError, match="x must have the same channels in every split, got 2 in train and 3 in test"):
        concatenate([one, other], split=["train", "test"])


def test_equal_contents_and_no_others_have_one_hash():
    told = hash_contents(make_sequences([[1, 2], [1, 2], [1, 2, 0], [2, 1]]).x)
    assert told[0] == told[1] and len(set(told)) == 3
    assert len(set(hash_contents(make_sequences(np.arange(4.0).reshape(1, 4, 1)).x))) == 1


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"x": []}, "x must hold at least 1 sequence, got none"),
        ({"x": np.zeros((0, 1, 3))}, "x must hold at least 1 sequence, got none"),
        ({"x": np.zeros((3, 1, 0))}, "sequences must have at least 1 channel and 1 position, got x (3, 1, 0)"),
        ({"x": np.zeros(3)}, "x must be (N, C, L), (N, L), or (C, total) with lengths, got (3,)"),
        ({"x": [[1.0], []]}, "sequence 1 of x must be (C, L) or (L,) and not empty, got (1, 0)"),
        ({"x": [[[1.0]], [[1.0], [2.0]]]}, "sequences of x must have the same channels, got 2 in sequence 1 and 1 in"),
        ({"x": [["a", "b"]]}, "sequence 0 of x must hold real numbers, got <U1"),
        ({"x": np.array([[1j]])}, "x must hold real numbers, got complex128"),
        ({"x": [[[1, 2], [3]]]}, "sequence 0 of x must be an array of numbers, got lists of different lengths in it"),
        ({"x": np.zeros((1, 4)), "lengths": [2.0, 2.0]}, "lengths must be (N,) of integers, got (2,) of float64"),
        ({"x": np.zeros((1, 4)), "lengths": [1, 2]}, "lengths must sum to the positions of values, got 3 for 4"),
        ({"x": np.zeros((1, 1, 4)), "lengths": [4]}, "x must be (C, total) with lengths, got (1, 1, 4)"),
        ({"x": LISTED, "y": [1]}, "y must have one entry a sequence, got 1 for 2 sequences"),
        ({"x": LISTED, "y": np.array([None, 1])}, "y must be (N,) or (N, K) of texts or numbers, got (2,) of object"),
        ({"x": LISTED, "names": ["a", "a"]}, "names must differ, got 'a' twice"),
        ({"x": LISTED, "split": ["train", "dev"]}, "split must be train, val or test, got 'dev'"),
        ({"x": [[0, np.inf], [1, 1]]}, "x must hold no infinity, got 1, the first in '0' at channel 0, position 1"),
        ({"x": [[0, 1], [1, 1e39]]}, "x must hold no infinity, got 1, the first in '1' at channel 0, position 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        make_sequences(**arguments)


def test_arrays_are_copied_unless_nobody_else_holds_them():
    x = np.zeros((2, 1, 3), dtype=np.float32)
    assert not np.shares_memory(make_sequences(x).x.values.numpy(), x)
    assert np.shares_memory(make_sequences(x, owned=True).x.values.numpy(), x)
    assert not np.shares_memory(make_sequences([x[0]]).x.values.numpy(), x)
    x.flags.writeable = False
    assert not np.shares_memory(make_sequences(x, owned=True).x.values.numpy(), x)
