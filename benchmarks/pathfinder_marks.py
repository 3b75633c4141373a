"""How well the places of its two marks predict the label of a Pathfinder image: what an accuracy tells of a network.

``python -m benchmarks.pathfinder_marks`` fits boosted trees to both places and their distance on half of the images,
and scores them on the other half. A network that follows no path does no better. ``--target-length 4`` makes the images
easier; distractors come after the targets, and change nothing here.
"""

import argparse
from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from tasks.errors import UserError, check_at_least
from tasks.images.generated_pathfinder import choose_rules, generate_pathfinder


def describe_marks(marks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return both places of marks `(N, 2, 2)` and their distance in pixels, `(N, 5)`."""
    distance = np.linalg.norm(marks[:, 0] - marks[:, 1], axis=1)
    return np.column_stack([marks.reshape(len(marks), 4), distance])


def score_marks(marks: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Fit the first half of the marks `(N, 2, 2)` to labels `(N,)`; return the accuracy on the second half."""
    half = len(labels) // 2
    described = describe_marks(marks)
    trees = HistGradientBoostingClassifier(learning_rate=0.05, random_state=0)
    return float(trees.fit(described[:half], labels[:half]).score(described[half:], labels[half:]))


def draw_marks(*, num: int, target_length: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return marks `(N, 2, 2)` and labels `(N,)` of images of 32 pixels without distractors."""
    rules = choose_rules(32, target_length=target_length, num_distractors=0)
    marks, labels, drawn = [], [], 0
    for images in generate_pathfinder(rules, seed=seed):
        marks.append(images.marks)
        labels.append(images.labels)
        drawn += len(images.labels)
        if drawn >= num:
            break
    return np.concatenate(marks)[:num], np.concatenate(labels)[:num]


def main(argv: Sequence[str] | None = None) -> int:
    """Print one accuracy."""
    parser = argparse.ArgumentParser(prog="benchmarks.pathfinder_marks", description=__doc__, allow_abbrev=False)
    parser.add_argument("--num", type=int, default=20_000, help="images (%(default)s)")
    parser.add_argument("--target-length", type=int, default=14, help="dashes of a path (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the generator (%(default)s)")
    options = parser.parse_args(argv)
    try:
        check_at_least(100, num=options.num)
        check_at_least(0, seed=options.seed)
        choose_rules(32, target_length=options.target_length)
    except UserError as error:
        parser.error(str(error))
    marks, labels = draw_marks(num=options.num, target_length=options.target_length, seed=options.seed)
    accuracy = score_marks(marks, labels)
    spread = 1.96 * sqrt(accuracy * (1 - accuracy) / (len(labels) - len(labels) // 2))
    print(f"{options.target_length} dashes, from the marks alone: {accuracy:.1%} ± {spread:.1%} (95% interval)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
