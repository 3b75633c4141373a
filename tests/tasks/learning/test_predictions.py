import pytest
import torch

from tasks.errors import UserError
from tasks.learning.predictions import Predictions

LOGITS = torch.tensor([[0.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 9.0]])
BATCH = Predictions(torch.tensor([7, 3, 5]), torch.tensor([1, 0, 2]), LOGITS)


def test_batches_are_joined_in_the_order_of_the_data():
    other = Predictions(torch.tensor([4]), torch.tensor([2]), torch.zeros(1, 3))
    joined = Predictions.join([BATCH, other])
    assert len(joined) == 4 and joined.index.tolist() == [3, 4, 5, 7] and joined.targets.tolist() == [0, 2, 2, 1]
    assert joined.outputs.dtype == torch.float64 and torch.equal(joined.outputs[3].float(), LOGITS[0])


def test_a_sample_that_is_counted_twice_is_an_error():
    with pytest.raises(UserError, match="index must name each sample once, got one twice"):
        Predictions.join([BATCH, BATCH])


def test_no_sample_is_an_error():
    with pytest.raises(UserError, match="the evaluated split must hold at least one batch, got none"):
        Predictions.join([])
