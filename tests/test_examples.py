"""The examples are short, they run, and each ends well below the best constant predictor."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_six():
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_learns(example, capsys):
    assert len(example.read_text().splitlines()) < 30
    runpy.run_path(str(example))
    loss, constant = re.search(r"loss ([\d.]+), constant predictor ([\d.]+)", capsys.readouterr().out).groups()
    assert float(loss) < 0.7 * float(constant)
