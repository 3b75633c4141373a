"""Each promise of docs/reliability.md has the test that the document names."""

import re

from tests.tasks.command import ROOT


def test_every_test_that_the_document_names_exists():
    text = (ROOT / "docs/reliability.md").read_text()
    named = re.findall(r"`(tests/\S+\.py)`: `(test_\w+)`", text)
    assert len(named) == text.count("`: `test_") >= 15
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), (path, name)
