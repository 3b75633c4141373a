from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tasks.command import Answer, fit


@dataclass(frozen=True)
class Trained:
    folder: Path
    answer: Answer


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Return one finished run, shared by the tests that only look at it."""
    root = tmp_path_factory.mktemp("runs")
    return Trained(answer=fit(root), folder=root / "digits" / "1")
