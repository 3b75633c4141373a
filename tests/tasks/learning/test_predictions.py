import pytest
import torch

from tasks.errors import UserError
from tasks.learning.heads import ClassificationHead, MultiLabelHead, RegressionHead
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


def test_samples_are_ordered_by_the_loss_of_each_alone():
    head = ClassificationHead(2, 3)
    losses = [float(head.loss(LOGITS[row : row + 1], BATCH.targets[row : row + 1])) for row in range(3)]
    assert BATCH.order_by_loss(head).tolist() == sorted(range(3), key=losses.__getitem__, reverse=True) == [1, 0, 2]
    assert BATCH.are_right(head).tolist() == [True, False, True]


def test_a_loss_that_is_no_number_comes_first():
    outputs = torch.tensor([[1.0, 5.0], [torch.nan, 0.0]])
    assert Predictions(torch.arange(2), torch.zeros(2, dtype=torch.long), outputs).order_by_loss(
        ClassificationHead(2, 2)
    ).tolist() == [1, 0]


def test_several_labels_are_right_together_and_numbers_are_neither_right_nor_wrong():
    outputs = torch.tensor([[3.0, -3.0], [3.0, 3.0]])
    labels = Predictions(torch.arange(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), outputs)
    assert labels.are_right(MultiLabelHead(2, 2)).tolist() == [True, False]
    assert labels.are_right(RegressionHead(2, 2)) is None
