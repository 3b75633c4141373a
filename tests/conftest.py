import os
import socket
from pathlib import Path

import hypothesis
import pytest
import torch

os.environ["MPLBACKEND"] = "agg"  # plots are written to files, never shown

# The same examples on every run, and no deadline: machines are noisy.
hypothesis.settings.register_profile("hyperseq", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("hyperseq")


def pytest_collection_modifyitems(config, items):
    # `make fuzz` and `make torture` ask for these by name; they take too long for every run.
    asked = config.option.markexpr
    left_out = [
        item for item in items for name in ("fuzz", "torture") if name not in asked and item.get_closest_marker(name)
    ]
    config.hook.pytest_deselected(items=left_out)
    chosen = set(items) - set(left_out)
    items[:] = [item for item in items if item in chosen]


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True)
def same_seed():
    """Start every test from the same random numbers, alone or among others."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse connections: the tests, and what they run, need no network."""
    connect = socket.socket.connect

    def connect_locally(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in (
            "127.0.0.1",
            "::1",
            "localhost",
        ):
            raise AssertionError(f"a test asked for the network: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)


@pytest.fixture(autouse=True)
def one_thread():
    """Compute with one thread: on a busy machine a second thread makes tensors this small many times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def blank_pictures(monkeypatch):
    """Save no figure but an empty file: drawing takes a third of a tiny training, and other tests look at pictures."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, path, **options: Path(path).touch())
