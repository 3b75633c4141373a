from math import sqrt

import pytest
import torch

from tasks.learning.score import Score


def test_the_score_counts_what_is_right():
    table = {"true": torch.tensor([1, 2, 3]), "predicted": torch.tensor([1, 2, 0])}
    score = Score.of({**table, "cross_entropy": torch.tensor([0.5, 1.0, 3.0])})
    assert (score.correct, score.num_samples, score.accuracy, score.cross_entropy) == (2, 3, 2 / 3, 1.5)


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (5, 5), (356, 360), (1, 1)])
def test_the_interval_is_wilsons(correct, total):
    z, share = 1.959963984540054, correct / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    assert Score(correct, total, 0.0).interval == pytest.approx((centre - half, centre + half), abs=1e-12)
