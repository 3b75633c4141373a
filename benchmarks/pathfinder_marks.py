"""How well the two marks predict the label of a Pathfinder image, with no path followed: what an accuracy tells.

``python -m benchmarks.pathfinder_marks`` fits boosted trees on half of the images, and scores them on the other half:
once to the places of both marks and their distance, once to the directions of the dashes at the marks, too. A network
at the second accuracy may follow no path at all; one clearly above it sees more than the marks and their dashes.
``--target-length 4`` makes the images easier; distractors come after the targets, and change nothing here.
"""

import argparse
from collections.abc import Sequence
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from tasks.errors import UserError, check_at_least, check_seed
from tasks.images.generated_pathfinder import choose_rules, generate_pathfinder


def describe_places(marks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return both places of marks `(N, 2, 2)` and their distance in pixels, `(N, 5)`."""
    distance = np.linalg.norm(marks[:, 0] - marks[:, 1], axis=1)
    return np.column_stack([marks.reshape(len(marks), 4), distance])


def describe_directions(marks: NDArray[np.int64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what `directions` `(N, 2)` add to the marks `(N, 2, 2)`, in radians from -pi to pi, `(N, 5)`.

    Both directions, how far each turns from the line to the other mark, and how far the second turns from the first.
    """
    rows, columns = (marks[:, 1] - marks[:, 0]).T
    line = np.arctan2(rows, columns)
    first, second = directions.T
    angles = np.column_stack([first, second, first - line, second - line - pi, second - first])
    return (angles + pi) % (2 * pi) - pi


def score(described: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Fit the first half of what describes images, `(N, F)`, to labels `(N,)`; return the accuracy on the second."""
    half = len(labels) // 2
    trees = HistGradientBoostingClassifier(learning_rate=0.05, random_state=0)
    return float(trees.fit(described[:half], labels[:half]).score(described[half:], labels[half:]))


def draw_marks(
    *, num: int, target_length: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return marks `(N, 2, 2)`, directions `(N, 2)` and labels `(N,)` of images of 32 pixels without distractors."""
    rules = choose_rules(32, target_length=target_length, num_distractors=0)
    drawn, num_drawn = [], 0
    for images in generate_pathfinder(rules, seed=seed):
        drawn.append((images.marks, images.directions, images.labels))
        num_drawn += len(images.labels)
        if num_drawn >= num:
            break
    marks, directions, labels = (np.concatenate(parts)[:num] for parts in zip(*drawn, strict=True))
    return marks, directions, labels


def main(argv: Sequence[str] | None = None) -> int:
    """Print both accuracies."""
    parser = argparse.ArgumentParser(prog="benchmarks.pathfinder_marks", description=__doc__, allow_abbrev=False)
    parser.add_argument("--num", type=int, default=20_000, help="images (%(default)s)")
    parser.add_argument("--target-length", type=int, default=14, help="dashes of a path (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the generator (%(default)s)")
    options = parser.parse_args(argv)
    try:
        check_at_least(100, num=options.num)
        check_seed(seed=options.seed)
        choose_rules(32, target_length=options.target_length)
    except UserError as error:
        parser.error(str(error))
    length = options.target_length
    marks, directions, labels = draw_marks(num=options.num, target_length=length, seed=options.seed)
    places = describe_places(marks)
    both = np.column_stack([places, describe_directions(marks, directions)])
    for name, described in (("the places of the marks", places), ("their places and directions", both)):
        accuracy = score(described, labels)
        spread = 1.96 * sqrt(accuracy * (1 - accuracy) / (len(labels) - len(labels) // 2))
        print(f"{length} dashes, from {name}: {accuracy:.1%} ± {spread:.1%} (95% interval)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
