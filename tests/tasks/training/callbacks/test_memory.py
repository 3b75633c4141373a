from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hyperseq import Terminator
from tasks.errors import UserError
from tasks.learning.classifier import Classifier
from tasks.training.callbacks import memory
from tasks.training.callbacks.memory import MemoryEstimate, _count_kept, estimate_memory
from tests.tasks.command import TINY, hyperseq


class Exponential(nn.Module):
    """Keeps its input and its output of three channels."""

    out_channels = 3

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 1))

    def forward(self, x, *, lengths=None):
        return (self.weight * x).exp()


class OneLength(Exponential):
    def forward(self, x, *, lengths=None):
        return super().forward(x * torch.ones(9))


def describe(size):
    return SimpleNamespace(size=(size,), in_channels=1, num_tokens=None)


def weights_of(model):
    return 4 * sum(4 * parameter.numel() for parameter in model.parameters())


def test_what_a_known_operation_keeps_is_counted():
    model = Classifier(Exponential(), num_classes=2)
    estimate = estimate_memory(model, describe(5))
    # The head keeps the mean of each channel.
    assert estimate.each == 4 * (5 + 3 * 5 + 3) and estimate.shared == weights_of(model)


def test_the_estimate_of_any_batch_is_what_autograd_keeps():
    model = Classifier(Terminator(1, 1, size=97, channels=[4, 6, 6]), num_classes=2).train()
    network = nn.ModuleDict({"backbone": model.backbone, "head": model.head})
    counted = _count_kept(network, torch.randn(7, 1, 97))
    estimate = estimate_memory(model, describe(97))
    assert estimate.of_batch(7) - weights_of(model) == pytest.approx(counted, rel=1e-3)


def test_longer_sequences_than_those_tried_out_are_in_proportion(monkeypatch):
    model = Classifier(Terminator(1, 1, size=601, channels=[4, 6]), num_classes=2).train()
    whole = estimate_memory(model, describe(601))
    monkeypatch.setattr(memory, "PROBED_POSITIONS", 128)
    # An FFT takes the next fast length.
    assert estimate_memory(model, describe(601)).of_batch(5) == pytest.approx(whole.of_batch(5), rel=0.1)


def test_neither_weights_nor_statistics_nor_random_numbers_change():
    model = Classifier(Terminator(1, 1, size=9, channels=[2, 2], dropout=0.5), num_classes=2)
    before, numbers = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    estimate_memory(model, describe(9))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), numbers) and model.training


def test_a_network_that_takes_no_other_length_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "PROBED_POSITIONS", 5)
    assert estimate_memory(Classifier(OneLength(), num_classes=2), describe(9)) is None


@pytest.mark.parametrize(
    ("free", "remedy"),
    [
        (50 * 2**20, "data.batch_size 4 may fit"),
        (15 * 2**20, "no batch fits: a stem that shortens the sequences (strides) or checkpoint: true needs less"),
    ],
)
def test_a_batch_that_cannot_fit_is_refused_with_what_would(free, remedy):
    estimate = MemoryEstimate(shared=10 * 2**20, each=10 * 2**20, size=300_000)
    estimate.check_fits(batch_size=4, free=50 * 2**20)
    with pytest.raises(UserError) as caught:
        estimate.check_fits(batch_size=8, free=free)
    assert str(caught.value) == (
        f"a batch must fit into memory, {free // 2**20} MiB are free, got 8 x 300,000 positions, which need at least "
        f"90 MiB; {remedy}"
    )


def test_what_cannot_fit_is_one_line_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    answer = hyperseq("fit", "--config", "images/digits", *TINY, "--run.root", tmp_path / "runs")
    assert answer.code == 1 and answer.err.count("\n") == 1
    assert "a batch must fit into memory, 0 MiB are free, got 128 x 64 positions" in answer.err
    assert not (tmp_path / "runs").exists()


def test_the_plan_tells_the_memory(trained):
    assert "MiB a step of the longest sequences" in trained.answer.out
