from math import sqrt

import pytest
import torch

from tasks.learning.heads import ClassificationHead, RegressionHead
from tasks.learning.predictions import Predictions
from tasks.learning.score import Score


def test_the_score_of_classes_counts_what_is_right():
    outputs = torch.tensor([[0.0, 1.0], [0.0, 2.0], [3.0, 0.0]], dtype=torch.float64)
    score = Score.of(Predictions(torch.arange(3), torch.tensor([1, 1, 1]), outputs), ClassificationHead(4, 2))
    assert (score.correct, score.num_samples, score.metrics["accuracy"]) == (2, 3, 2 / 3)
    assert list(score.metrics) == ["accuracy", "cross_entropy"]


def test_numbers_have_no_interval():
    outputs = torch.tensor([[1.0], [2.0]])
    score = Score.of(Predictions(torch.arange(2), torch.tensor([1.0, 4.0]), outputs), RegressionHead(4, 1))
    assert score.metrics["mean_absolute_error"] == 1 and score.correct is None and score.interval is None


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (5, 5), (356, 360), (1, 1)])
def test_the_interval_is_wilsons(correct, total):
    z, share = 1.959963984540054, correct / total
    center = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    wanted = pytest.approx((center - half, center + half), abs=1e-12)
    assert Score({"accuracy": share}, total).interval == wanted
