import pytest

from tasks.training import stopwatch
from tasks.training.callbacks.training_clock import TrainingClock


@pytest.fixture
def now(monkeypatch):
    """A clock that a test sets."""
    time = [100.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: time[0])
    return time


def test_the_clock_runs_from_start_to_end_of_the_training(now):
    clock = TrainingClock()
    assert clock.seconds == 0
    clock.on_train_start(None, None)
    now[0] = 130.0
    assert clock.seconds == 30
    clock.on_train_end(None, None)
    now[0] = 500.0
    assert clock.seconds == 30


def test_a_resumed_training_goes_on_from_the_seconds_in_the_checkpoint(now):
    interrupted, resumed = TrainingClock(), TrainingClock()
    interrupted.on_train_start(None, None)
    now[0] = 130.0
    resumed.load_state_dict(interrupted.state_dict())
    now[0] = 900.0
    resumed.on_train_start(None, None)
    now[0] = 905.0
    assert resumed.seconds == 35
