"""The command over generated option sets: no traceback, and every figure is what its name says.

`make test` tries a few sets, `make fuzz` three hundred.
"""

import csv
import json
import random
import re

import pytest

from tests.tasks.command import DIGITS, hyperseq

FAST, MANY = 20, 300
SMALL = (
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=1",
    "--data.batch_size=256",
    "--model.backbone.channels=[4,4]",
    "--model.backbone.slow_hidden_channels=4",
)
# Values that work, and values that make no sense.
VALUES = {
    "trainer.max_epochs": (1, 2, 0, -3, "many"),
    "trainer.max_steps": (1, 3, 0, -2),
    "trainer.limit_train_batches": (1, 2, 0.5, 0, -1, 1.5),
    "trainer.limit_val_batches": (1, 1.0, 0, 0.5, -1),
    "trainer.limit_test_batches": (1, 1.0, 0, 0.5, 3),
    "trainer.check_val_every_n_epoch": (1, 2, 7, 0),
    "trainer.val_check_interval": (1.0, 0.5, 1, 100, 0),
    "trainer.num_sanity_val_steps": (0, 1, -1),
    "trainer.accumulate_grad_batches": (1, 2, 0),
    "trainer.gradient_clip_val": (1.0, 0, -1),
    "trainer.overfit_batches": (0, 1, 0.1, -1),
    "trainer.precision": ("32-true", "64-true", "bf16-mixed", "16-mixed", "8"),
    "trainer.enable_checkpointing": ("true", "false"),
    "trainer.enable_progress_bar": ("true", "false"),
    "trainer.devices": (1, 0),
    "trainer.max_time": ("00:00:10:00", "soon"),
    "model.lr": (1e-3, 0, -1, "nan", "1e400", "fast"),
    "model.slow_lr": (1e-3, "null", -1),
    "model.weight_decay": (0, 0.1, -0.1),
    "model.label_smoothing": (0, 0.1, 2, -1),
    "model.warmup": (0, 0.3, 1, -1, 2),
    "model.schedule": ("cosine", "constant", "none"),
    "model.ema_decay": (0.9, 0, 1, "null"),
    "model.slow_neural_loss_weight": (0, 1, -1),
    "model.backbone.channels": ("[4,4]", "[4]", "[]", "[0,4]", "4"),
    "model.backbone.dropout": (0, 0.5, 1, 2, -1),
    "model.backbone.omega_0": (30, 0, -1),
    "data.batch_size": (256, 1000, 0, -1, 1.5),
    "data.split_seed": (42, 0, -1),
    "data.num_spatial_dims": (1, 2, 3),
    "seed_everything": (0, 7, -1, 2**40),
    "run.num_threads": (1, 0, "null"),
    "run.name": ("a", "a/b", "..", "ä b"),
}


def generate(number):
    """Generate the options of one call: one to four, by the number alone."""
    draw = random.Random(number)
    keys = draw.sample(sorted(VALUES), draw.randint(1, 4))
    return [f"--{key}={draw.choice(VALUES[key])}" for key in keys]


@pytest.fixture
def no_pictures(monkeypatch):
    """Draw nothing: pictures take most of the time, and have tests of their own."""
    for name in ("plot_curves", "plot_confusion_matrix", "plot_hyper_kernels"):
        monkeypatch.setattr(f"tasks.training.report.{name}", lambda path, *content, **options: path.touch())


def read_table(path):
    return list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []


def check_figures(run):
    """Compare what the files of a finished run say with each other."""
    told = json.loads((run / "results.json").read_text(), parse_constant=pytest.fail)
    rows = read_table(run / "predictions.csv")
    assert len(rows) == told.get("n", 0)
    if rows:
        right = sum(row["true"] == row["predicted"] for row in rows)
        assert told["correct"] == right and told["accuracy"] == pytest.approx(right / len(rows))
        assert told["n"] <= told["split"]["test"]
    else:
        assert "accuracy" not in told and "correct" not in told
    if "val_n" in told:
        assert told["val_n"] <= told["split"]["val"]
        assert told["val_accuracy"] * told["val_n"] == pytest.approx(round(told["val_accuracy"] * told["val_n"]))
    epochs = read_table(run / "metrics.csv")
    assert [row["epoch"] for row in epochs] == [str(number) for number in range(1, len(epochs) + 1)]
    if epochs:
        assert int(epochs[-1]["step"]) <= told["steps"]
    assert told["epochs"] <= told["config"]["trainer"]["max_epochs"] or told["config"]["trainer"]["max_epochs"] < 0
    assert told["best_epoch"] is None or 1 <= told["best_epoch"] <= max(told["epochs"], len(epochs))
    assert (told["best_epoch"] is None) == (told["selected_on"] == "last")


def try_options(number, root):
    words = generate(number)
    answer = hyperseq("fit", "--config", DIGITS, "--run.root", root, *SMALL, *words)
    said = f"hyperseq fit {' '.join(words)}\n{answer.err}"
    assert "Traceback" not in answer.err, said
    folders = [path.parent for path in root.glob("*/*/config.yaml")]
    if answer.code:
        assert re.fullmatch(r"hyperseq: (error: )?[^\n]+\n", answer.err), said
        assert not list(root.glob("*/*/results.json")), said
        assert answer.code in (1, 2) and not (answer.code == 2 and folders), said
        return
    (run,) = folders
    try:
        check_figures(run)
    except AssertionError as error:
        raise AssertionError(said) from error


@pytest.mark.parametrize("number", range(FAST))
def test_options_train_with_true_figures_or_are_refused_in_one_line(number, tmp_path, no_pictures):
    try_options(number, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("number", range(FAST, MANY))
def test_many_options_train_with_true_figures_or_are_refused_in_one_line(number, tmp_path, no_pictures):
    try_options(number, tmp_path)
