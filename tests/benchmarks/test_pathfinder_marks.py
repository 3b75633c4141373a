import re
from math import pi, sqrt

import numpy as np
import pytest

from benchmarks.pathfinder_marks import describe_directions, describe_places, draw_marks, main, score
from tasks.images import generated_pathfinder


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**18)


def test_marks_are_described_by_both_places_and_their_distance():
    assert describe_places(np.array([[[1, 2], [4, 6]]])).tolist() == [[1, 2, 4, 6, 5]]


def test_directions_are_described_by_their_turns_from_the_line_between_the_marks():
    # The second mark lies right of the first: the line leads along the row.
    marks = np.array([[[5, 5], [5, 9]]])
    straight = describe_directions(marks, np.array([[0.0, pi]]))
    assert straight == pytest.approx(np.array([[0, -pi, 0, 0, -pi]]))
    bent = describe_directions(marks, np.array([[pi / 2, 5 * pi / 2]]))
    assert bent == pytest.approx(np.array([[pi / 2, pi / 2, pi / 2, -pi / 2, 0]]))


def test_marks_that_tell_the_label_are_scored_right_and_others_at_chance():
    marks = np.random.default_rng(0).integers(0, 32, (2000, 2, 2))
    by_distance = (np.linalg.norm(marks[:, 0] - marks[:, 1], axis=1) < 15).astype(np.int64)
    places = describe_places(marks)
    assert score(places, by_distance) > 0.97
    assert abs(score(places, np.random.default_rng(1).integers(0, 2, 2000)) - 0.5) < 0.06


def test_the_marks_of_short_paths_tell_more_than_those_of_long_ones():
    drawn = (draw_marks(num=600, target_length=length, seed=0) for length in (4, 8))
    short, long = (score(describe_places(marks), labels) for marks, _, labels in drawn)
    assert short > 0.7 > long + 0.05


def test_the_marks_are_those_of_images_without_distractors():
    marks, directions, labels = draw_marks(num=100, target_length=5, seed=2)
    rules = generated_pathfinder.choose_rules(32, target_length=5, num_distractors=0)
    images = next(generated_pathfinder.generate_pathfinder(rules, seed=2))
    for drawn, wanted in ((marks, images.marks), (directions, images.directions), (labels, images.labels)):
        assert np.array_equal(drawn, wanted[:100])


def test_the_command_prints_both_accuracies_with_their_spread(capsys):
    assert main(["--num", "601", "--target-length", "4", "--seed", "3"]) == 0
    marks, directions, labels = draw_marks(num=601, target_length=4, seed=3)
    places = describe_places(marks)
    both = np.column_stack([places, describe_directions(marks, directions)])
    lines = capsys.readouterr().out.splitlines()
    for line, described in zip(lines, (places, both), strict=True):
        accuracy = score(described, labels)
        spread = 1.96 * sqrt(accuracy * (1 - accuracy) / 301)
        assert re.findall(r"[0-9.]+%", line) == [f"{accuracy:.1%}", f"{spread:.1%}", "95%"]
    assert lines[0].startswith("4 dashes, from the places of the marks: ")
    assert lines[1].startswith("4 dashes, from their places and directions: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--num", "99"], "num must be at least 100, got 99"),
        (["--seed", "-1"], "seed must lie in [0, 4294967295], got -1"),
        (["--target-length", "2"], "target_length must lie in [3, 14], got 2"),
    ],
)
def test_options_out_of_range_are_refused(words, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert told in capsys.readouterr().err
