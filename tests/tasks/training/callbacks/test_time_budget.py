import csv
import json
from types import SimpleNamespace

import pytest

from hyperseq import Terminator
from tasks.errors import UserError
from tasks.learning.classifier import Classifier
from tasks.learning.schedules import make_schedule, one_cycle
from tasks.training.callbacks import time_budget
from tasks.training.callbacks.time_budget import STEPS, TimeBudget
from tests.tasks.command import fit

BUDGET = "tasks.training.callbacks.time_budget.TimeBudget"


@pytest.fixture
def now(monkeypatch):
    """A clock that a test sets."""
    time = [100.0]
    monkeypatch.setitem(time_budget.CLOCKS, "cpu", lambda: time[0])
    return time


@pytest.fixture
def model():
    backbone = Terminator(1, 1, size=9, channels=[4, 4], slow_hidden_channels=4)
    return Classifier(backbone, num_classes=2, lr=0.5, schedule="one_cycle", warmup=0.25)


@pytest.fixture
def trainer(model):
    optimizer = model.build_optimizer()
    schedule = make_schedule("one_cycle", optimizer, total_steps=10**9, warmup=0.25)
    configs = [SimpleNamespace(scheduler=schedule)]
    return SimpleNamespace(should_stop=False, sanity_checking=False, world_size=1, lr_scheduler_configs=configs)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_the_schedule_of_the_model_runs_over_the_seconds(now, trainer, model):
    budget = TimeBudget(seconds=80.0)
    budget.on_train_start(trainer, model)
    schedule = trainer.lr_scheduler_configs[0].scheduler
    for seconds, factor in ((0, 1 / 25), (20, 1.0), (40, None), (80, 1 / 250_000), (95, 1 / 250_000)):
        now[0] = 100.0 + seconds
        schedule.step()
        step = round(seconds / 80 * (STEPS - 1))
        wanted = one_cycle(step, total_steps=STEPS, warmup=0.25) if factor is None else factor
        assert schedule.get_last_lr() == pytest.approx([0.5 * wanted] * len(schedule.get_last_lr()), rel=1e-4)


def test_the_training_ends_when_the_seconds_are_spent_and_validations_are_not_counted(now, trainer, model):
    budget = TimeBudget(seconds=10.0)
    trainer.sanity_checking = True
    budget.on_validation_start(trainer, None)
    budget.on_validation_end(trainer, None)
    trainer.sanity_checking = False
    now[0] = 200.0
    assert budget.spent == 0
    budget.on_train_start(trainer, model)
    now[0] = 206.0
    budget.on_validation_start(trainer, None)
    now[0] = 300.0
    assert budget.spent == 6
    budget.on_validation_end(trainer, None)
    now[0] = 303.0
    budget.on_train_batch_end(trainer, None, None, {}, 0)
    assert budget.spent == 9 and not trainer.should_stop
    now[0] = 304.0
    budget.on_train_batch_end(trainer, None, None, {}, 1)
    assert trainer.should_stop


def test_a_continued_training_goes_on_from_the_seconds_in_the_checkpoint(now, trainer, model):
    interrupted, continued = TimeBudget(10.0), TimeBudget(10.0)
    interrupted.on_train_start(trainer, model)
    now[0] = 107.0
    continued.load_state_dict(interrupted.state_dict())
    now[0] = 500.0
    continued.on_train_start(trainer, model)
    now[0] = 502.0
    assert continued.spent == 9


def test_a_run_whose_seconds_end_within_an_epoch_is_validated_and_tested(now, tmp_path, monkeypatch):
    # Each look at the clock takes a second: one for the first rates, then one for the rates and one for the end of each
    # step. The second step is the last.
    monkeypatch.setitem(time_budget.CLOCKS, "cpu", lambda: now.__setitem__(0, now[0] + 1.0) or now[0])
    options = ("--trainer.callbacks", BUDGET, "--trainer.callbacks.seconds", "4.5", "--trainer.max_epochs", "1000")
    fit(tmp_path, *options, "--trainer.limit_train_batches=9")
    (run,) = tmp_path.glob("*/1")
    results = json.loads((run / "results.json").read_text())
    # Epochs are those that were finished.
    assert (results["steps"], results["epochs"]) == (2, 0)
    (row,) = csv.DictReader((run / "metrics.csv").read_text().splitlines())
    assert 0 <= float(row["val/accuracy"]) <= 1
    # The rates that the second step left behind are those of its time, in all groups.
    factor = one_cycle(round(4 / 4.5 * (STEPS - 1)), total_steps=STEPS, warmup=0.3)
    (rate,) = {float(row[f"lr/{name}"]) for name in ("weights", "biases", "slow networks")}
    assert rate == pytest.approx(results["config"]["model"]["lr"] * factor)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_options_out_of_range_are_refused(seconds):
    with pytest.raises(UserError, match=f"^seconds must be above 0, got {seconds}$"):
        TimeBudget(seconds)
    with pytest.raises(UserError, match="^clock must be one of cpu, wall, got 'gpu'$"):
        TimeBudget(1.0, clock="gpu")


def test_several_processes_have_no_common_clock(trainer, model):
    trainer.world_size = 2
    with pytest.raises(UserError, match="trainer.devices must be 1 with TimeBudget, got 2 processes"):
        TimeBudget(10.0).on_train_start(trainer, model)
