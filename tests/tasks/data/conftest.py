import pytest

from tasks.data import download
from tests.tasks.data.mirror import serve


@pytest.fixture
def mirror(monkeypatch):
    """A server on this machine, asked again without a pause."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    with serve() as started:
        yield started
