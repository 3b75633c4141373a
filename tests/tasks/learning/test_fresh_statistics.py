"""The running statistics that a validation uses are those of the weights that it validates."""

from copy import deepcopy
from itertools import count

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch.utils.data import DataLoader, IterableDataset

from hyperseq import Terminator
from hyperseq.nn import update_statistics
from tasks.data.batches import TensorBatches, batch_loader
from tasks.errors import UserError
from tasks.learning.classifier import Classifier
from tasks.training.warning_filters import quiet
from tests import cases

BATCH = 5


class Recorder(Callback):
    """The weights after every step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, pl_module, *rest):
        self.weights.append([parameter.detach().clone() for parameter in pl_module.parameters()])


def loader(num_batches, seed=None):
    x = cases.normal(BATCH * num_batches, 1, 9, dtype=torch.float32).detach()
    rows = torch.arange(len(x))
    return batch_loader(TensorBatches(x=3 * x + 1, y=rows % 3, index=rows), batch_size=BATCH, seed=seed)


def train(*callbacks, num_batches=2, validate=True, train_loader=None, **options):
    torch.manual_seed(0)
    backbone = Terminator(1, 1, size=9, channels=[4, 4], slow_hidden_channels=4, dropout=0.2)
    model = Classifier(backbone, num_classes=3, lr=0.01, **options)
    with quiet():
        trainer = Trainer(max_epochs=2, max_steps=2 * num_batches, logger=False, enable_checkpointing=False,
                          enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks),
                          limit_val_batches=1.0 if validate else 0)  # fmt: skip
        batches = loader(num_batches, seed=0) if train_loader is None else train_loader
        trainer.fit(model, batches, loader(1))
    return model


def is_estimated(model, num_batches=2):
    """Return whether the running statistics are those of the training batches for the weights as they are."""
    order = loader(num_batches, seed=0)
    order.sampler.set_epoch(1)
    wanted = deepcopy(model)
    update_statistics(wanted, [{"x": batch["x"]} for batch in order])
    found, wanted = (dict(each.named_buffers()) for each in (model, wanted))
    statistics = [name for name in found if "running" in name]
    assert len(statistics) == 8
    return all(torch.allclose(found[name], wanted[name], rtol=1e-4, atol=1e-5) for name in statistics)


@pytest.mark.parametrize("options", [{}, {"validate": False}, {"ema_decay": 0.75}], ids=str)
def test_statistics_are_those_of_the_training_batches_for_the_weights_that_are_kept(options):
    assert is_estimated(train(**options))
    assert not is_estimated(train(**options, estimate_statistics=False))


def test_steps_and_dropout_are_the_same_with_and_without_the_estimate():
    with_estimate, without = Recorder(), Recorder()
    train(with_estimate)
    train(without, estimate_statistics=False)
    assert len(with_estimate.weights) == 4
    for one, other in zip(with_estimate.weights, without.weights, strict=True):
        assert all(map(torch.equal, one, other))


def test_epochs_of_many_steps_use_the_running_average_unless_asked(monkeypatch):
    monkeypatch.setattr("tasks.learning.fresh_statistics.FEW_BATCHES", 1)
    assert not is_estimated(train())
    assert is_estimated(train(estimate_statistics=True))


def test_the_plan_tells_of_the_estimate(trained):
    assert "statistics      estimated anew from 2 batches before each validation" in trained.answer.out


class Endless(IterableDataset):
    def __iter__(self):
        return (loader(1).dataset[next(iter(loader(1).sampler))] for _ in count())


def test_batches_without_an_end_are_refused():
    endless = DataLoader(Endless(), batch_size=None)
    train(train_loader=endless, validate=False)
    with pytest.raises(UserError, match="estimate_statistics must be false where the training batches have no number"):
        train(train_loader=endless, validate=False, estimate_statistics=True)
