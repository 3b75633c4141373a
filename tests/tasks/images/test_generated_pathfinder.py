from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from tasks.images import generated_pathfinder
from tasks.images.generated_pathfinder import RULES, _Canvas, _draw_targets, choose_rules, generate_pathfinder


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**16)


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    first, second, other = (list(islice(generate_pathfinder(RULES[32], seed=seed), 2)) for seed in (1, 1, 2))
    for one, same, another in zip(first, second, other, strict=True):
        assert all(np.array_equal(*fields) for fields in zip(one, same, strict=True))
        assert not np.array_equal(one.marks, another.marks)
    assert not np.array_equal(first[0].marks, first[1].marks)


@pytest.mark.parametrize("easier", [{"target_length": 13}, {"num_distractors": 4}, {"num_distractors": 0}])
def test_easier_images_do_not_begin_as_those_of_the_benchmark(easier):
    easy, hard = (next(generate_pathfinder(rules, seed=0)) for rules in (choose_rules(32, **easier), RULES[32]))
    count = min(len(easy.marks), len(hard.marks))
    assert (easy.marks[:count, 0] == hard.marks[:count, 0]).all(axis=1).mean() < 0.5


def test_images_with_fewer_distractors_do_not_begin_as_those_with_more():
    fewer, more = (next(generate_pathfinder(choose_rules(32, num_distractors=number), seed=0)) for number in (3, 4))
    count = min(len(fewer.marks), len(more.marks))
    assert (fewer.marks[:count, 0] == more.marks[:count, 0]).all(axis=1).mean() < 0.5


@pytest.mark.parametrize("side", RULES)
def test_images_use_all_gray_values_and_stay_mostly_black(side):
    pixels, labels, *_ = next(generate_pathfinder(RULES[side], seed=0))
    assert pixels.shape[1:] == (side, side) and len(pixels) == len(labels) > 0
    assert (pixels.min(axis=(1, 2)) == 0).all() and (pixels.max(axis=(1, 2)) == 255).all()
    assert (pixels > 40).mean() < 0.25


def complete_canvas(side=32):
    canvas = _Canvas(RULES[side], 150, np.random.default_rng(0))
    return canvas.select(_draw_targets(canvas))


def test_both_targets_have_fourteen_dashes_whose_tips_lie_at_the_published_distance():
    canvas = complete_canvas()
    assert len(canvas.rows) > 10 and canvas.drawn[:, :28].all() and not canvas.drawn[:, 28:].any()
    first, second = canvas.end[:, 0], canvas.end[:, 1]
    assert ((first >= 14) & (first < 18)).all()
    assert np.abs(np.linalg.norm(first - second, axis=1) - 7).max() <= 0.71


def test_a_path_turns_by_less_than_a_right_angle():
    canvas = complete_canvas()
    for number in (0, 1):
        angles = canvas.angle[:, number:28:2]
        turns = np.abs((np.diff(angles, axis=1) + np.pi) % (2 * np.pi) - np.pi)
        assert turns.max() < np.pi / 2


def test_dashes_share_at_most_a_pixel_with_what_was_there():
    canvas = complete_canvas()
    replayed = _Canvas(RULES[32], len(canvas.rows), np.random.default_rng(0))
    for dash in range(28):
        window = canvas._window(canvas.rows, canvas.end[:, dash])
        mask = canvas.stamp_mask[canvas.margin_index, canvas.stamp[:, dash]]
        assert ((replayed.taken[window] > 0) & mask).sum(axis=(1, 2)).max() <= 1
        replayed.taken[window] += mask
    # What was taken back has left no trace.
    assert np.array_equal(replayed.taken, canvas.taken)


def test_the_label_tells_whether_both_marks_lie_on_one_path(monkeypatch):
    drawn = []
    draw_targets = generated_pathfinder._draw_targets

    def remember(canvas):
        rows = draw_targets(canvas)
        drawn.append(canvas.select(rows))
        return rows

    monkeypatch.setattr(generated_pathfinder, "_draw_targets", remember)
    images = next(generate_pathfinder(RULES[32], seed=0))
    end = drawn[0].end
    # Even dashes belong to the first target, odd ones to the second.
    assert np.array_equal(images.marks[:, 0], end[:, 0])
    assert np.array_equal(images.marks[:, 1], np.where(images.labels[:, None] == 1, end[:, 26], end[:, 27]))
    assert 0.2 < images.labels.mean() < 0.8
    # Each direction leads away from its mark: to the next dash of the first target, to the last but one of its own.
    inner = np.stack([end[:, 2], np.where(images.labels[:, None] == 1, end[:, 24], end[:, 25])], axis=1)
    rows, columns = np.moveaxis(inner - images.marks, -1, 0)
    turns = np.abs((images.directions - np.arctan2(rows, columns) + np.pi) % (2 * np.pi) - np.pi)
    assert turns.max() < np.pi / 2 and np.median(turns) < np.pi / 8


@pytest.mark.parametrize("side", RULES)
def test_a_mark_covers_the_pixels_around_its_center(side):
    # Without the ink of the dashes the discs are alone.
    rules = replace(RULES[side], target_contrast=0.0, distractor_contrast=0.0)
    images = next(generate_pathfinder(rules, seed=0))
    for pixels, marks in zip(images.pixels, images.marks, strict=True):
        distance = np.linalg.norm(np.argwhere(pixels > 100)[:, None] - marks, axis=2)
        assert distance.min(axis=1).max() < rules.mark_radius + 0.5 and (distance == 0).any(axis=0).all()


def test_easier_images_have_shorter_paths_and_fewer_distractors():
    rules = choose_rules(32, target_length=4, num_distractors=1)
    easy, hard = (next(generate_pathfinder(each, seed=0)).pixels for each in (rules, RULES[32]))
    assert rules.num_dashes == 12 and (easy > 40).mean() < (hard > 40).mean() / 2


@pytest.mark.parametrize(
    "options, told",
    [
        ({"side": 256}, "side must be one of 32, 64, 128, got 256"),
        ({"side": 32, "target_length": 2}, r"target_length must lie in \[3, 14\], got 2"),
        ({"side": 32, "target_length": 15}, r"target_length must lie in \[3, 14\], got 15"),
        ({"side": 32, "num_distractors": 6}, r"num_distractors must lie in \[0, 5\] for side 32, got 6"),
        ({"side": 128, "num_distractors": -1}, r"num_distractors must lie in \[0, 8\] for side 128, got -1"),
    ],
)
def test_rules_out_of_range_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        choose_rules(**options)
