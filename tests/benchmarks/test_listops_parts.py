from itertools import islice

import numpy as np
import pytest

from benchmarks.listops_parts import list_parts, main, measure_parts
from tasks.lra.generated_listops import MAX, MED, MIN, SM, SYMBOLS, Expression, generate_expressions


def expression(text, value):
    return Expression(np.array([SYMBOLS.index(symbol) for symbol in text.split()], np.uint8), value)


@pytest.mark.parametrize(
    ("text", "known", "operators"),
    [
        ("[MAX 1 2 [MIN 4 9 ] 3 ]", (MAX, 3), (1, 0, 0, 0)),  # 4 and 9 are no arguments of the root
        ("[MIN [MAX 1 [SM 0 0 ] ] [MED 2 3 ] ]", (MIN, None), (0, 1, 1, 0)),  # neither is the SM
        ("[SM 9 9 [SM 1 1 ] ]", (SM, 8), (0, 0, 0, 1)),
        ("[MED 5 1 2 ]", (MED, 2), (0, 0, 0, 0)),
    ],
)
def test_the_parts_are_the_root_its_own_digits_and_the_operators_below_it(text, known, operators):
    parts = list(list_parts(expression(text, 0)).values())
    assert parts == [None, known[0], known, (known, operators)]


def test_what_has_one_value_for_each_part_is_predicted_and_nothing_is_known_of_a_new_part():
    rows = [expression("[MAX 1 2 ]", 2), expression("[MIN 1 2 ]", 1)] * 100
    scores = measure_parts(rows)
    assert scores["nothing"].accuracy == 0.5 and scores["the first operator"].accuracy == 1
    # one is added to the count of each of ten values: 51 of 60
    assert scores["the first operator"].cross_entropy == pytest.approx(-np.log(51 / 60))


def test_more_parts_predict_better():
    drawn = list(islice(generate_expressions(0, shortest=100, longest=200), 4000))
    accuracies = [score.accuracy for score in measure_parts(drawn).values()]
    assert accuracies == sorted(accuracies) and len(set(accuracies)) == 4


def test_the_command_prints_a_table(capsys):
    assert main(["--num", "200", "--shortest", "20", "--longest", "60"]) == 0
    assert [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        "| nothing",
        "| the first operator",
        "| and the digits among its arguments",
        "| and which operators are among them",
    ]
