import csv
import json
import re

import pytest
import torch
from pytorch_lightning import Callback, Trainer

from hyperseq import Terminator
from tasks.data.batches import TensorBatches, batch_loader
from tasks.learning.classifier import Classifier
from tasks.training.warning_filters import quiet
from tests.tasks.command import DIGITS, TINY, fit, hyperseq

AVERAGED = "--model.ema_decay=0.75"
CONSTANT = ("--model.schedule=constant", "--model.warmup=0", "--model.backbone.dropout=0.2")


class Recorder(Callback):
    """Every weight and every running statistic, after every step."""

    def __init__(self):
        self.states = []

    def on_train_batch_end(self, trainer, pl_module, *rest):
        self.states.append({name: value.clone() for name, value in pl_module.state_dict().items()})


def train(ema_decay, *callbacks):
    torch.manual_seed(0)
    backbone = Terminator(1, 1, size=9, channels=[4, 4], slow_hidden_channels=4)
    model = Classifier(backbone, num_classes=3, lr=0.01, ema_decay=ema_decay, estimate_statistics=False)
    data = TensorBatches(x=torch.randn(20, 1, 9), y=torch.arange(20) % 3, index=torch.arange(20))
    with quiet():
        trainer = Trainer(max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
                          enable_model_summary=False, callbacks=list(callbacks))  # fmt: skip
        trainer.fit(model, batch_loader(data, batch_size=5), batch_loader(data, batch_size=20))
    return model


def results(run):
    return json.loads((run / "results.json").read_text())


def column(run, name):
    return [row[name] for row in csv.DictReader((run / "metrics.csv").read_text().splitlines())]


def test_the_average_is_that_of_the_obvious_formula_for_weights_and_running_statistics():
    recorder = Recorder()
    averaged = train(0.75, recorder).state_dict()
    assert len(recorder.states) == 8 and any(name.endswith("running_var") for name in averaged)
    wanted = recorder.states[0]
    for state in recorder.states[1:]:
        for name, value in state.items():
            wanted[name] = 0.75 * wanted[name] + 0.25 * value if value.is_floating_point() else value
    torch.testing.assert_close(averaged, wanted)
    assert not torch.equal(averaged["head.linear.weight"], recorder.states[-1]["head.linear.weight"])


def test_the_steps_of_the_training_are_the_same_with_and_without_the_average():
    with_average, without = Recorder(), Recorder()
    train(0.75, with_average)
    left = train(None, without).state_dict()
    for step, state in enumerate(without.states):
        assert all(torch.equal(value, with_average.states[step][name]) for name, value in state.items())
    assert all(torch.equal(value, left[name]) for name, value in without.states[-1].items())


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """Return a finished run with averaged weights, whose best epoch is not its last."""
    root = tmp_path_factory.mktemp("averaged")
    fit(root, AVERAGED, *CONSTANT, "--model.lr=1", "--trainer.max_epochs=4")
    return root / "digits" / "1"


def test_what_is_validated_is_what_is_kept_tested_and_found_again(averaged):
    told = results(averaged)
    assert told["best_epoch"] < told["epochs"]
    assert told["val_accuracy"] == pytest.approx(float(column(averaged, "val/accuracy")[told["best_epoch"] - 1]))
    validated = hyperseq("validate", "--config", averaged / "config.yaml")
    best = column(averaged, "val/cross_entropy")[told["best_epoch"] - 1]
    assert f"{float(best):.4f}" in validated.out
    tested = hyperseq("test", "--config", averaged / "config.yaml")
    assert re.search(rf"│ +{told['correct']} │ {told['n']} │.* {told['cross_entropy']:.4f} ", tested.out)


def test_the_kept_weights_are_the_average_and_not_those_of_the_last_step(averaged):
    checkpoint = torch.load(averaged / "checkpoints/last.ckpt", weights_only=True)
    average, weights = (checkpoint[name]["head.linear.weight"] for name in ("state_dict", "current_model_state"))
    assert not torch.equal(average, weights)


def test_a_resumed_training_equals_one_that_was_never_interrupted(averaged, tmp_path):
    words = (AVERAGED, *CONSTANT, "--model.lr=1")
    fit(tmp_path, *words, "--trainer.max_epochs=2")
    run = tmp_path / "digits/1"
    assert hyperseq("fit", "--config", run / "config.yaml", "--trainer.max_epochs=4", "--ckpt_path=last").code == 0
    for name in ("metrics.csv", "predictions.csv"):
        assert (run / name).read_bytes() == (averaged / name).read_bytes()
    one, other = (torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in (run, averaged))
    for name in ("state_dict", "current_model_state", "averaging_state"):
        assert all(torch.equal(one[name][key], other[name][key]) for key in other[name])


def test_an_average_is_not_given_up_by_resuming(averaged):
    words = ("--config", averaged / "config.yaml", "--trainer.max_epochs=5", "--ckpt_path=last")
    answer = hyperseq("fit", *words, "--model.ema_decay=null")
    rule = "ema_decay must be given to resume a training begun with averaged weights, got null"
    assert (answer.code, answer.err) == (1, f"hyperseq: error: {rule}\n")


def test_an_average_is_not_begun_by_resuming():
    model = train(0.75)
    with pytest.raises(ValueError, match="ema_decay must be null to resume .* without averaged weights, got 0.75"):
        model.on_load_checkpoint({"state_dict": {}, "optimizer": "AdamW"})


@pytest.mark.parametrize("decay", ["1", "-0.1"])
def test_a_decay_that_keeps_nothing_new_or_less_than_nothing_is_refused(tmp_path, decay):
    answer = hyperseq("fit", "--config", DIGITS, "--run.root", tmp_path, *TINY, f"--model.ema_decay={decay}")
    assert answer.code == 2 and f"ema_decay must lie in [0, 1), got {float(decay)}" in answer.err
