import pytest
import torch
from torch.nn.functional import cross_entropy

from hyperseq import Terminator
from hyperseq.losses import slow_neural_loss
from tasks.learning.classifier import Classifier, NonFiniteLossError


def classifier(**options):
    backbone = Terminator(1, 1, size=9, channels=[4, 4, 8], slow_hidden_channels=4)
    return Classifier(backbone, num_classes=3, **options)


BATCH = {"x": torch.randn(5, 1, 9), "y": torch.tensor([0, 1, 2, 0, 1]), "index": torch.arange(5)}


def test_the_loss_is_smoothed_cross_entropy_and_the_weighted_slow_neural_loss(monkeypatch):
    model = classifier(label_smoothing=0.1, slow_neural_loss_weight=3.0)
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    slow = slow_neural_loss(model.backbone.hyper_kernels())
    wanted = cross_entropy(model(BATCH["x"]), BATCH["y"], label_smoothing=0.1) + 3 * slow
    assert slow > 0
    torch.testing.assert_close(model.training_step(BATCH, 0), wanted)


def test_hyper_kernels_are_generated_once_a_step(monkeypatch):
    model = classifier()
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    calls = []
    generate = model.backbone.hyper_kernels
    monkeypatch.setattr(model.backbone, "hyper_kernels", lambda *a, **o: calls.append(1) or generate(*a, **o))
    model.training_step(BATCH, 0)
    assert len(calls) == 1


@pytest.mark.parametrize("part", ["validation", "test", "predict"])
def test_an_evaluation_generates_its_hyper_kernels_once_and_forgets_them(monkeypatch, part):
    model = classifier().eval()
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    calls = []
    generate = model.backbone.hyper_kernels
    monkeypatch.setattr(model.backbone, "hyper_kernels", lambda *a, **o: calls.append(1) or generate(*a, **o))
    step = getattr(model, f"{part}_step")
    alone = step(BATCH, 0)
    assert len(calls) == 1
    getattr(model, f"on_{part}_epoch_start")()
    kept = [step(BATCH, number) for number in range(3)]
    getattr(model, f"on_{part}_epoch_end")()
    assert len(calls) == 2 and model.kept_kernels is None
    for told in kept:
        torch.testing.assert_close(told, alone)


def test_every_parameter_is_in_one_group_and_slow_networks_do_not_decay():
    model = classifier(lr=1e-2, slow_lr=1e-3, weight_decay=0.1)
    groups = {group["name"]: group for group in model.parameter_groups()}
    counted = [id(parameter) for group in groups.values() for parameter in group["params"]]
    assert sorted(counted) == sorted(id(parameter) for parameter in model.parameters())
    assert (groups["slow networks"]["lr"], groups["slow networks"]["weight_decay"]) == (1e-3, 0.0)
    assert (groups["weights"]["lr"], groups["weights"]["weight_decay"]) == (1e-2, 0.1)
    assert groups["biases"]["weight_decay"] == 0.0


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_step():
    model = classifier(slow_neural_loss_weight=float("inf"))
    with pytest.raises(NonFiniteLossError, match=r"the loss is inf at step 1 \(epoch 1\)"):
        model.training_step(BATCH, 0)


def test_padded_samples_are_scored_as_alone():
    model = classifier().eval()
    lengths = torch.tensor([9, 4, 1, 7, 2])
    x = BATCH["x"].clone()
    for sample, length in enumerate(lengths):
        x[sample, :, length:] = float("nan")
    told = model.test_step({**BATCH, "x": x, "lengths": lengths}, 0)
    for sample, length in enumerate(lengths):
        alone = model(x[sample : sample + 1, :, :length]).softmax(dim=1).max()
        torch.testing.assert_close(told["probability"][sample], alone, rtol=1e-4, atol=1e-4)
