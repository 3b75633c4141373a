import io

from rich.console import Console

from tasks.training.callbacks.progress import TrainingProgress


class Optimizer:
    param_groups = [{"lr": 1e-3}]


class Trainer:
    max_epochs, current_epoch, global_step = 3, 0, 0
    estimated_stepping_batches = 6
    optimizers = [Optimizer]
    callback_metrics = {"val/accuracy": 0.5, "train/loss": 2.0}


def test_a_terminal_shows_one_bar_over_the_whole_training():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200)
    progress, trainer = TrainingProgress(console), Trainer()
    progress.on_train_start(trainer, None)
    for epoch in range(3):
        trainer.current_epoch = epoch
        for _ in range(2):
            trainer.global_step += 1
            progress.on_train_batch_end(trainer, None, {"loss": torch_like(1.5)}, None, 0)
        progress.on_train_epoch_end(trainer, None)
    progress.on_train_end(trainer, None)
    end = out.getvalue().split("\r")[-1]
    for told in ("epoch 3/3", "6/6", "loss 1.500", "val 50.0%", "lr 1.0e-03", "it/s"):
        assert told in end
    assert "epoch 1/3  loss" not in out.getvalue()


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
