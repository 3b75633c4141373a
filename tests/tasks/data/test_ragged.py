import re

import pytest
import torch

from tasks.data.ragged import RaggedSequences
from tasks.errors import UserError

SAMPLES = [torch.randn(2, length) for length in (3, 1, 7)]


def test_an_item_is_a_view_of_its_sequence():
    ragged = RaggedSequences.join(SAMPLES)
    assert len(ragged) == 3 and ragged.values.shape == (2, 11)
    for told, sample in zip(ragged, SAMPLES, strict=True):
        assert torch.equal(told, sample) and told.untyped_storage().data_ptr() == ragged.values.data_ptr()
    assert torch.equal(ragged[-1], SAMPLES[-1])


def test_a_selection_shares_the_values_and_can_be_selected_from():
    chosen = RaggedSequences.join(SAMPLES).select(torch.tensor([2, 0]))
    assert chosen.lengths.tolist() == [7, 3] and torch.equal(chosen[0], SAMPLES[2])
    assert torch.equal(chosen.select([1])[0], SAMPLES[0]) and torch.equal(chosen[1:][0], SAMPLES[0])
    assert chosen.values.shape == (2, 11) and len(chosen.select([])) == 0


def test_ids_have_no_channels():
    assert RaggedSequences(torch.arange(5), torch.tensor([2, 3]))[1].tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("values", "lengths", "fault"),
    [
        (torch.zeros(2, 3, 4), [4], "values must be (C, total) or (total,) and lengths (N,) of int64, got (2, 3, 4)"),
        (
            torch.zeros(4),
            [4.0],
            "values must be (C, total) or (total,) and lengths (N,) of int64, got (4,) and (1,) of",
        ),
        (torch.zeros(1, 4), [4, 0], "lengths must be at least 1, got 0 at sequence 1"),
        (torch.zeros(1, 4), [2, 3], "lengths must sum to the positions of values, got 5 for 4"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(values, lengths, fault):
    with pytest.raises(UserError, match=re.escape(fault)):
        RaggedSequences(values, torch.tensor(lengths))
