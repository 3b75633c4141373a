import pytest
import torch

from tasks.learning.heads import ClassificationHead, MultiLabelHead, RegressionHead
from tasks.learning.predictions import Predictions
from tasks.learning.rejection import choose_rejection_threshold


def predictions(probabilities, targets):
    """Predictions of class 0 with these probabilities."""
    probabilities = torch.tensor(probabilities, dtype=torch.float64)
    outputs = torch.stack([probabilities, 1 - probabilities], dim=1).log()
    return Predictions(torch.arange(len(targets)), torch.tensor(targets), outputs)


@pytest.mark.parametrize("count", [1, 7, 20, 61])
def test_the_threshold_keeps_95_percent_of_the_right_answers_and_is_the_largest_that_does(count):
    probabilities = (0.6 + 0.4 * torch.rand(count, dtype=torch.float64)).tolist()
    wrong = [0.51] * 5
    table = predictions(wrong + probabilities, [1] * 5 + [0] * count)
    threshold = choose_rejection_threshold(table, ClassificationHead(4, 2))

    def share_kept(threshold):
        return sum(each >= threshold for each in probabilities) / count

    assert share_kept(threshold - 1e-9) >= 0.95
    assert share_kept(threshold + 1e-9) < 0.95 or threshold == pytest.approx(max(probabilities))


def test_what_names_no_class_or_is_never_right_has_no_threshold():
    assert choose_rejection_threshold(predictions([0.9], [1]), ClassificationHead(4, 2)) is None
    outputs = torch.zeros(3, 2)
    for head, targets in (MultiLabelHead(4, 2), torch.zeros(3, 2)), (RegressionHead(4, 2), torch.zeros(3, 2)):
        assert choose_rejection_threshold(Predictions(torch.arange(3), targets, outputs), head) is None
