"""The examples are short, they run, and each that trains ends well below the best constant predictor."""

import csv
import re
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
SWEEP = FOLDER / "sweep.py"
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - {SWEEP})


def test_there_are_six():
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_learns(example, capsys):
    assert len(example.read_text().splitlines()) < 30
    runpy.run_path(str(example))
    loss, constant = re.search(r"loss ([\d.]+), constant predictor ([\d.]+)", capsys.readouterr().out).groups()
    assert float(loss) < 0.7 * float(constant)


@pytest.mark.usefixtures("blank_pictures")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sweep_shares_its_trials_and_chooses_by_the_validation_split(tmp_path, monkeypatch, capsys):
    optuna = pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    words = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--model.backbone.channels=[4,8]"]
    monkeypatch.setattr(sys, "argv", ["sweep.py", *words])
    short = SWEEP.read_text().replace('NUM_TRIALS = "images/digits", 20', 'NUM_TRIALS = "images/digits", 1')
    for _ in range(2):
        # The second one stands for another process on the same file.
        exec(compile(short, str(SWEEP), "exec"), {"__name__": "__main__"})
    backend = optuna.storages.journal.JournalFileBackend("sweep.log")
    study = optuna.load_study(study_name="images/digits", storage=optuna.storages.JournalStorage(backend))
    values = [trial.value for trial in study.trials]
    for number, value in enumerate(values):
        (row,) = csv.DictReader(Path(f"runs/sweep-{number}/1/metrics.csv").read_text().splitlines())
        assert value == float(row["val/accuracy"])
    assert len(values) == 2 and f"best of 2: {max(values):.1%} with {{" in capsys.readouterr().out
