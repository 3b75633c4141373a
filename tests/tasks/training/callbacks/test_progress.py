import io
import re

import pytest
from rich.console import Console

from tasks.training.callbacks.progress import TrainingProgress


class Optimizer:
    param_groups = [{"lr": 1e-3}]


class Trainer:
    max_epochs, current_epoch, global_step = 3, 0, 0
    estimated_stepping_batches = 6
    optimizers = [Optimizer]
    callback_metrics = {"val/accuracy": 0.5, "train/loss": 2.0}


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_one_bar_over_the_whole_training_and_keeps_one_line_an_epoch(width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, highlight=False)
    progress, trainer = TrainingProgress(console), Trainer()
    progress.on_train_start(trainer, None)
    for epoch in range(3):
        trainer.current_epoch = epoch
        for _ in range(2):
            trainer.global_step += 1
            progress.on_train_batch_end(trainer, None, {"loss": torch_like(1.5)}, None, 0)
        trainer.callback_metrics = {"val/accuracy": 0.5 + epoch / 10, "train/loss": 2.0}
        progress.on_train_epoch_end(trainer, None)
    progress.on_train_end(trainer, None)
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n").splitlines()
    bar = [line for line in shown if "━" in line][-1]
    assert len(bar.rstrip()) <= 80 and "…" not in bar
    for told in ("epoch 3/3", "6/6", "loss 1.500", "0:00:00"):
        assert told in bar
    lines = [line for line in shown if re.match(r"epoch \d/3  loss 2.000", line)]
    assert [line.split("  ")[2] for line in lines] == ["val 50.0%", "val 60.0%", "val 70.0%"]
    assert max(map(len, lines)) <= 80 and all("lr 1.0e-03" in line and "it/s" in line for line in lines)


class torch_like(float):  # noqa: N801
    def item(self):
        return float(self)


def test_a_disabled_bar_is_silent():
    out = io.StringIO()
    progress = TrainingProgress(Console(file=out))
    progress.disable()
    progress.on_train_start(Trainer(), None)
    progress.on_train_epoch_end(Trainer(), None)
    assert out.getvalue() == ""
