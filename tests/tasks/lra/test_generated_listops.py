from itertools import islice
from statistics import median

import numpy as np
import pytest

from tasks.lra.generated_listops import LONGEST, SHORTEST, SYMBOLS, generate_expressions, take_expressions

OPERATIONS = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(median(values)),
    "[SM": lambda values: sum(values) % 10,
}


def evaluate(symbols):
    """Evaluate an expression with a stack, symbol by symbol; also return its depth and each number of arguments."""
    stack, depth, counts = [], 1, []
    for symbol in symbols:
        if symbol in OPERATIONS:
            stack.append((symbol, []))
            depth = max(depth, len(stack))
            continue
        if symbol == "]":
            operator, values = stack.pop()
            counts.append(len(values))
            value = OPERATIONS[operator](values)
        else:
            value = int(symbol)
        if not stack:
            return value, depth, counts
        stack[-1][1].append(value)
    raise AssertionError("the expression has no end")


@pytest.fixture(scope="module")
def drawn():
    return take_expressions(10_000, seed=7)


def test_values_agree_with_a_stack_machine_on_ten_thousand_expressions(drawn):
    symbols, lengths, values = drawn
    for row, value in zip(np.split(symbols, np.cumsum(lengths)[:-1]), values, strict=True):
        found, depth, counts = evaluate([SYMBOLS[number] for number in row])
        assert found == value
        # Digits may stand one level below the deepest operator.
        assert depth <= 9 and min(counts) >= 2 and max(counts) <= 10


def test_lengths_and_labels_are_those_of_the_published_distribution(drawn):
    _, lengths, values = drawn
    assert lengths.min() >= SHORTEST and lengths.max() <= LONGEST
    # The quantiles and shares of 11,845 trees drawn by the published rules; both samples have errors.
    quantiles = np.quantile(lengths, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert np.abs(quantiles - [538, 706, 969, 1324, 1811]).max() < 40 and abs(lengths.mean() - 1044) < 12
    shares = np.bincount(values, minlength=10) / len(values)
    error = 4 * np.sqrt(0.17 * 0.83 / len(values))
    assert abs(shares[0] - 0.172) < error and abs(shares[9] - 0.166) < error
    assert shares[1:9].min() > 0.075 - error and shares[1:9].max() < 0.089 + error


def test_digits_operators_and_numbers_of_arguments_are_uniform(drawn):
    symbols, _, _ = drawn
    counts = np.bincount(symbols, minlength=15)
    for kinds in (counts[:10], counts[10:14]):
        assert np.abs(kinds / kinds.mean() - 1).max() < 0.02
    assert counts[14] == counts[10:14].sum()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, second, other = (take_expressions(50, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[1], other[1])


def test_fewer_expressions_are_the_beginning_of_more():
    few, more = take_expressions(10, seed=1), take_expressions(30, seed=1)
    assert np.array_equal(more[1][:10], few[1]) and np.array_equal(more[0][: few[1].sum()], few[0])


def test_no_expression_comes_twice():
    found = [expression.symbols.tobytes() for expression in islice(generate_expressions(0), 3000)]
    assert len(set(found)) == len(found)
