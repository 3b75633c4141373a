"""Search options of a config by Optuna. Start it as often as you like: the processes share the trials.

Options of `hyperseq fit` may follow: python examples/sweep.py --trainer.max_epochs 5
"""

import csv
import sys

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage

from tasks.cli import main

CONFIG, NUM_TRIALS = "images/digits", 20


def train(trial: optuna.Trial) -> float:
    """Train once, and return the best accuracy on the validation split; the test split chooses nothing."""
    options = {
        "model.lr": trial.suggest_float("lr", 1e-3, 2e-2, log=True),
        "model.backbone.omega_0": trial.suggest_float("omega_0", 3.0, 100.0, log=True),
        "run.name": f"sweep-{trial.number}",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    if main(["fit", "--config", CONFIG, *words, *sys.argv[1:]]):
        raise optuna.TrialPruned
    with open(f"runs/sweep-{trial.number}/1/metrics.csv", newline="") as rows:
        return max(float(row["val/accuracy"]) for row in csv.DictReader(rows) if row["val/accuracy"])


# A file on a disk that all processes see, network disks included; it also keeps what a killed process had finished.
study = optuna.create_study(
    study_name=CONFIG,
    storage=JournalStorage(JournalFileBackend("sweep.log")),
    direction="maximize",
    load_if_exists=True,
)
study.optimize(train, callbacks=[optuna.study.MaxTrialsCallback(NUM_TRIALS)])
print(f"best of {len(study.trials)}: {study.best_value:.1%} with {study.best_params}")
