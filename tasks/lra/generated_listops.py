"""ListOps expressions of our own, drawn from the published distribution, a thousand trees at a time.

The rules descend from Nangia and Bowman 2018 (arXiv 1804.06028), with the limits of the Long Range Arena. A tree has
the root at depth 1. A node at a depth below 10 is an operator with probability 0.25, otherwise a digit; a node at depth
10 is a digit. An operator has 2 to 10 arguments. Trees of 501 to 1,999 symbols are kept, each once.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DIGITS, OPERATORS, CLOSING = tuple("0123456789"), ("[MIN", "[MAX", "[MED", "[SM"), "]"
SYMBOLS = (*DIGITS, *OPERATORS, CLOSING)
"""What stands in an expression; the numbers of this module are positions in this tuple."""

MIN, MAX, MED, SM, END = range(10, 15)
OPERATOR_PROBABILITY = 0.25
FEWEST_ARGUMENTS, MOST_ARGUMENTS = 2, 10
DEEPEST = 10
SHORTEST, LONGEST = 501, 1999
ROOTS = 1000

Numbers = NDArray[np.int64]


class Expression(NamedTuple):
    """One expression."""

    symbols: NDArray[np.uint8]
    """Positions in `SYMBOLS`, `(L,)`; parentheses are left out."""
    value: int
    """What the expression evaluates to, 0 to 9."""


class _Level(NamedTuple):
    """All nodes of one depth; the children of a node stand side by side, in the order of their parents."""

    symbol: Numbers
    """Digit or operator of each node, as positions in `SYMBOLS`."""
    num_children: Numbers
    """Children of each node in the next level; 0 for a digit."""

    @property
    def is_operator(self) -> NDArray[np.bool_]:
        return self.num_children > 0

    def first_children(self) -> Numbers:
        """Return where the children of each operator begin in the next level."""
        return (np.cumsum(self.num_children) - self.num_children)[self.is_operator]


def generate_expressions(seed: int, *, shortest: int = SHORTEST, longest: int = LONGEST) -> Iterator[Expression]:
    """Yield distinct expressions of `shortest` to `longest` symbols without end; the seed alone decides them.

    Example:
        >>> first = next(generate_expressions(seed=0))
        >>> " ".join(SYMBOLS[number] for number in first.symbols)[:13], 500 < len(first.symbols) < 2000
        ('[MED 8 [MIN 9', True)
    """
    random = np.random.default_rng(seed)
    # Equal trees have equal symbols: the text can be parsed in one way only.
    seen: set[bytes] = set()
    while True:
        for expression in _draw_expressions(random, shortest, longest):
            if (key := expression.symbols.tobytes()) not in seen:
                seen.add(key)
                yield expression


def take_expressions(
    count: int, *, seed: int, shortest: int = SHORTEST, longest: int = LONGEST
) -> tuple[NDArray[np.uint8], Numbers, Numbers]:
    """Return the first expressions of a seed: all symbols in one row, the length of each, the value of each."""
    expressions = list(islice(generate_expressions(seed, shortest=shortest, longest=longest), count))
    symbols = np.concatenate([expression.symbols for expression in expressions])
    lengths = np.array([len(expression.symbols) for expression in expressions])
    return symbols, lengths, np.array([expression.value for expression in expressions])


def _draw_expressions(random: np.random.Generator, shortest: int, longest: int) -> Iterator[Expression]:
    levels = _draw_levels(random)
    sizes = _measure_subtrees(levels)
    kept = (sizes[0] >= shortest) & (sizes[0] <= longest)
    levels, sizes = _keep_trees(levels, sizes, kept)
    values = _evaluate(levels)
    lengths = sizes[0]
    starts = np.cumsum(lengths) - lengths
    symbols = _write_symbols(levels, sizes, starts)
    for start, length, value in zip(starts.tolist(), lengths.tolist(), values.tolist(), strict=True):
        yield Expression(symbols[start : start + length].copy(), value)


def _draw_levels(random: np.random.Generator) -> list[_Level]:
    """Draw trees whose root is an operator: a root that is a digit is too short to be kept."""
    levels = []
    count, probability = ROOTS, 1.0
    for depth in range(1, DEEPEST + 1):
        is_operator = random.random(count) < (probability if depth < DEEPEST else 0.0)
        symbol = np.where(is_operator, random.integers(MIN, SM + 1, count), random.integers(0, 10, count))
        num_children = np.where(is_operator, random.integers(FEWEST_ARGUMENTS, MOST_ARGUMENTS + 1, count), 0)
        levels.append(_Level(symbol, num_children))
        count, probability = int(num_children.sum()), OPERATOR_PROBABILITY
    return levels


def _measure_subtrees(levels: list[_Level]) -> list[Numbers]:
    """Count the symbols of the subtree of each node: 1 for a digit; 2 and those of its children for an operator."""
    sizes = [np.ones(len(levels[-1].symbol), dtype=np.int64)]
    for level in reversed(levels[:-1]):
        size = np.ones(len(level.symbol), dtype=np.int64)
        if level.is_operator.any():
            size[level.is_operator] = 2 + np.add.reduceat(sizes[0], level.first_children())
        sizes.insert(0, size)
    return sizes


def _keep_trees(
    levels: list[_Level], sizes: list[Numbers], kept: NDArray[np.bool_]
) -> tuple[list[_Level], list[Numbers]]:
    """Drop all nodes of the trees that are not kept."""
    kept_levels, kept_sizes = [], []
    for level, size in zip(levels, sizes, strict=True):
        kept_levels.append(_Level(level.symbol[kept], level.num_children[kept]))
        kept_sizes.append(size[kept])
        kept = np.repeat(kept, level.num_children)
    return kept_levels, kept_sizes


def _evaluate(levels: list[_Level]) -> Numbers:
    """Compute the value of each root; MED is the median without its fraction, SM the sum modulo 10."""
    values = levels[-1].symbol
    for level in reversed(levels[:-1]):
        results = level.symbol.copy()
        if level.is_operator.any():
            first = level.first_children()
            num_children = level.num_children[level.is_operator]
            # Sorted among siblings alone: the key begins with the parent.
            parents = np.repeat(np.arange(len(first)), num_children)
            ordered = values[np.lexsort((values, parents))]
            middle = ordered[first + (num_children - 1) // 2] + ordered[first + num_children // 2]
            sums = np.add.reduceat(values, first) % 10
            by_kind = np.stack([ordered[first], ordered[first + num_children - 1], middle // 2, sums])
            results[level.is_operator] = by_kind[level.symbol[level.is_operator] - MIN, np.arange(len(first))]
        values = results
    return values


def _write_symbols(levels: list[_Level], sizes: list[Numbers], starts: Numbers) -> NDArray[np.uint8]:
    """Write all trees one after the other; `starts` is where each begins."""
    symbols = np.empty(int(sizes[0].sum()), dtype=np.uint8)
    for depth, level in enumerate(levels):
        symbols[starts] = level.symbol
        operators = level.is_operator
        if not operators.any():
            break
        symbols[starts[operators] + sizes[depth][operators] - 1] = END
        children, first = sizes[depth + 1], level.first_children()
        before = np.cumsum(children) - children
        num_children = level.num_children[operators]
        among_siblings = before - np.repeat(before[first], num_children)
        starts = np.repeat(starts[operators] + 1, num_children) + among_siblings
    return symbols
