"""How well the value of a ListOps expression is predicted by parts of it: what an accuracy tells of a network.

``python -m benchmarks.listops_parts`` counts over half of the expressions which values go with a part, and predicts the
other half by these counts. A network that knows this part alone does no better. ``--shortest 100 --longest 400``
changes the lengths.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from itertools import islice
from math import log
from typing import NamedTuple

import numpy as np

from tasks.lra.generated_listops import (
    DIGITS,
    END,
    LONGEST,
    MAX,
    MED,
    MIN,
    SHORTEST,
    SM,
    Expression,
    generate_expressions,
)

REDUCE = {MIN: min, MAX: max, MED: lambda digits: int(np.median(digits)), SM: lambda digits: sum(digits) % 10}


class Score(NamedTuple):
    """How good a prediction is."""

    accuracy: float
    cross_entropy: float


def list_parts(expression: Expression) -> dict[str, Hashable]:
    """Return parts of an expression, each more than the one before it."""
    symbols = expression.symbols.astype(int)
    is_operator = (symbols >= MIN) & (symbols < END)
    closed_before = np.cumsum(symbols == END) - (symbols == END)
    # The root and its own digits have depth 1.
    depth = np.cumsum(is_operator) - closed_before
    root = int(symbols[0])
    digits = symbols[(symbols < MIN) & (depth == 1)].tolist()
    known = (root, REDUCE[root](digits) if digits else None)
    operators = tuple(int(((symbols == operator) & (depth == 2)).any()) for operator in (MIN, MAX, MED, SM))
    return {
        "nothing": None,
        "the first operator": root,
        "and the digits among its arguments": known,
        "and which operators are among them": (known, operators),
    }


def measure_parts(expressions: Sequence[Expression]) -> dict[str, Score]:
    """Predict the second half of the expressions by counts of the first half, for each of the parts."""
    half = len(expressions) // 2
    parts = [list_parts(expression) for expression in expressions]
    scores = {}
    for name in parts[0]:
        counts: dict[Hashable, Counter[int]] = defaultdict(lambda: Counter(dict.fromkeys(range(len(DIGITS)), 1)))
        for part, expression in zip(parts[:half], expressions[:half], strict=True):
            counts[part[name]][expression.value] += 1
        right, loss = 0, 0.0
        for part, expression in zip(parts[half:], expressions[half:], strict=True):
            found = counts[part[name]]
            right += found.most_common(1)[0][0] == expression.value
            loss -= log(found[expression.value] / found.total())
        scores[name] = Score(right / (len(expressions) - half), loss / (len(expressions) - half))
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.listops_parts", description=__doc__, allow_abbrev=False)
    parser.add_argument("--num", type=int, default=40_000, help="expressions (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the generator (%(default)s)")
    parser.add_argument("--shortest", type=int, default=SHORTEST, help="symbols of an expression (%(default)s)")
    parser.add_argument("--longest", type=int, default=LONGEST, help="symbols of an expression (%(default)s)")
    options = parser.parse_args(argv)
    drawn = generate_expressions(options.seed, shortest=options.shortest, longest=options.longest)
    print("| known | accuracy | cross entropy |\n|---|---|---|")
    for name, score in measure_parts(list(islice(drawn, options.num))).items():
        print(f"| {name} | {score.accuracy:.1%} | {score.cross_entropy:.2f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
