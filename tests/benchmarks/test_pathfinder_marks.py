import numpy as np
import pytest

from benchmarks.pathfinder_marks import describe_marks, draw_marks, main, score_marks
from tasks.images import generated_pathfinder


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**18)


def test_marks_are_described_by_both_places_and_their_distance():
    assert describe_marks(np.array([[[1, 2], [4, 6]]])).tolist() == [[1, 2, 4, 6, 5]]


def test_marks_that_tell_the_label_are_scored_right_and_others_at_chance():
    marks = np.random.default_rng(0).integers(0, 32, (2000, 2, 2))
    by_distance = (np.linalg.norm(marks[:, 0] - marks[:, 1], axis=1) < 15).astype(np.int64)
    assert score_marks(marks, by_distance) > 0.97
    assert abs(score_marks(marks, np.random.default_rng(1).integers(0, 2, 2000)) - 0.5) < 0.06


def test_the_marks_of_short_paths_tell_more_than_those_of_long_ones():
    short, long = (score_marks(*draw_marks(num=600, target_length=length, seed=0)) for length in (4, 8))
    assert short > 0.7 > long + 0.05


def test_the_command_prints_one_accuracy(capsys):
    assert main(["--num", "200", "--target-length", "4"]) == 0
    assert capsys.readouterr().out.startswith("4 dashes, from the marks alone: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--num", "99"], "num must be at least 100, got 99"),
        (["--seed", "-1"], "seed must be at least 0, got -1"),
        (["--target-length", "2"], "target_length must lie in [3, 14], got 2"),
    ],
)
def test_options_out_of_range_are_refused(words, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert told in capsys.readouterr().err
