from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

from hyperseq import Terminator
from hyperseq.losses import slow_neural_loss
from tasks.errors import UserError
from tasks.learning.classifier import Classifier, NonFiniteLossError
from tasks.learning.heads import RegressionHead


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


class CountingData:
    """A data module that knows its classes: 3 of the 4 training samples are of class 1, none of class 2."""

    def count_classes(self):
        return torch.tensor([1, 3, 0])


def test_balanced_classes_count_alike_in_the_training_loss(monkeypatch):
    model = classifier(class_weights="balanced", slow_neural_loss_weight=0.0)
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    model.trainer = SimpleNamespace(datamodule=CountingData(), global_step=0)
    model.on_fit_start()
    batch = {"x": torch.randn(4, 1, 9), "y": torch.tensor([0, 1, 1, 1])}
    each = cross_entropy(model(batch["x"]), batch["y"], reduction="none")
    wanted = (each[:1].mean() + each[1:].mean()) / 2
    torch.testing.assert_close(model.training_step(batch, 0), wanted)


def test_weights_of_classes_that_nothing_counts_or_takes_are_refused():
    model = classifier(class_weights="balanced")
    model.trainer = SimpleNamespace(datamodule=object())
    message = r"class_weights must be null with object, which has no count_classes\(\), got balanced"
    with pytest.raises(UserError, match=message):
        model.on_fit_start()
    message = "class_weights must be null with RegressionHead, whose loss has none, got balanced"
    with pytest.raises(UserError, match=message):
        classifier(head=RegressionHead, class_weights="balanced")


def test_hyper_kernels_are_generated_once_a_step(monkeypatch):
    model = classifier()
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    calls = []
    generate = model.backbone.hyper_kernels
    monkeypatch.setattr(model.backbone, "hyper_kernels", lambda *a, **o: calls.append(1) or generate(*a, **o))
    model.training_step(BATCH, 0)
    assert len(calls) == 1


@pytest.mark.parametrize("split", ["validation", "test", "predict"])
def test_an_evaluation_generates_its_hyper_kernels_once_and_forgets_them(monkeypatch, split):
    model = classifier().eval()
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    calls = []
    generate = model.backbone.hyper_kernels
    monkeypatch.setattr(model.backbone, "hyper_kernels", lambda *a, **o: calls.append(1) or generate(*a, **o))
    alone = model(BATCH["x"])
    calls.clear()
    getattr(model, f"on_{split}_epoch_start")()
    for number in range(3):
        getattr(model, f"{split}_step")({**BATCH, "index": 5 * number + BATCH["index"]}, number)
    told = model.join_predictions()
    assert len(calls) == 1 and len(told) == 15
    torch.testing.assert_close(told.outputs.float(), alone.repeat(3, 1))
    getattr(model, f"on_{split}_epoch_start")()
    getattr(model, f"{split}_step")(BATCH, 0)
    assert len(calls) == 2


def test_a_batch_of_another_rate_is_scored_by_kernels_of_that_rate(monkeypatch):
    model = classifier().eval()
    model.on_test_epoch_start()
    for number, rate in enumerate((None, 2.0, 0.5)):
        model.test_step({**BATCH, "index": 5 * number + BATCH["index"]} | ({"rate": rate} if rate else {}), number)
    wanted = torch.cat([model(BATCH["x"], rate=rate) for rate in (1.0, 2.0, 0.5)])
    torch.testing.assert_close(model.join_predictions().outputs.float(), wanted)
    monkeypatch.setattr(model.backbone, "forward", lambda x, *, lengths=None, hyper_kernels=None: x)
    with pytest.raises(UserError, match="rate must be left out with Terminator, whose forward takes no rate"):
        model.test_step({**BATCH, "rate": 2.0}, 0)


def test_batches_shorter_and_longer_than_the_training_size_train_and_are_scored_as_alone(monkeypatch):
    model = classifier()
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    batches = [{**BATCH, "x": torch.randn(5, 1, n), "index": n * 10 + BATCH["index"]} for n in (5, 14, 9)]
    for batch in batches:
        assert model.training_step(batch, 0).isfinite()
    model.eval()
    model.on_test_epoch_start()
    for number, batch in enumerate(batches):
        model.test_step(batch, number)
    wanted = torch.cat([model(batch["x"]) for batch in sorted(batches, key=lambda batch: int(batch["index"][0]))])
    torch.testing.assert_close(model.join_predictions().outputs.float(), wanted, rtol=1e-4, atol=1e-4)


class NoKernels(torch.nn.Module):
    out_channels = 2

    def __init__(self, channels=2, kernels=None):
        super().__init__()
        self.mixing = torch.nn.Conv1d(1, channels, 1)
        if kernels is not None:
            self.hyper_kernels = lambda size: kernels

    def forward(self, x, *, lengths=None, hyper_kernels=None):
        return self.mixing(x)


@pytest.mark.parametrize("kernels", [None, [], [torch.ones(1, 2, 9)]])
def test_the_slow_neural_loss_is_asked_of_networks_with_two_hyper_kernels_or_more(monkeypatch, kernels):
    model = Classifier(NoKernels(kernels=kernels), num_classes=3)
    logged = {}
    monkeypatch.setattr(model, "log_dict", lambda means, **options: logged.update(means))
    torch.testing.assert_close(model.training_step(BATCH, 0), cross_entropy(model(BATCH["x"]), BATCH["y"]))
    assert set(logged) == {"train/loss", "train/accuracy", "train/cross_entropy"}


def test_features_of_the_wrong_shape_are_named():
    model = Classifier(NoKernels(channels=3), num_classes=3)
    with pytest.raises(UserError, match=r"must return features \(B, C, \*S\) with B = 5 and C = out_channels = 2, got"):
        model(BATCH["x"])


class Halving(NoKernels):
    def forward(self, x, *, lengths=None):
        return self.mixing(x)[..., ::2]

    def output_lengths(self, lengths):
        return (lengths + 1) // 2


def test_the_head_gets_the_lengths_after_a_stem_that_shortens():
    model = Classifier(Halving(), num_classes=3)
    lengths = torch.tensor([9, 4, 1, 7, 2])
    told = model(BATCH["x"], lengths=lengths)
    for sample, length in enumerate(lengths):
        torch.testing.assert_close(told[sample], model(BATCH["x"][sample : sample + 1, :, :length])[0])


def test_a_label_smoothing_that_the_loss_does_not_have_is_refused():
    with pytest.raises(UserError, match="label_smoothing must be 0 with RegressionHead, whose loss has none, got 0.1"):
        classifier(head=RegressionHead, label_smoothing=0.1)


def test_numbers_train_by_the_same_loop(monkeypatch):
    model = classifier(head=RegressionHead, slow_neural_loss_weight=0.0)
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    targets = torch.randn(5, 3)
    torch.testing.assert_close(model.training_step({**BATCH, "y": targets}, 0), mse_loss(model(BATCH["x"]), targets))


def test_every_parameter_is_in_one_group_and_slow_networks_do_not_decay():
    model = classifier(lr=1e-2, slow_lr=1e-3, weight_decay=0.1)
    groups = {group["name"]: group for group in model.parameter_groups()}
    counted = [id(parameter) for group in groups.values() for parameter in group["params"]]
    assert sorted(counted) == sorted(id(parameter) for parameter in model.parameters())
    assert (groups["slow networks"]["lr"], groups["slow networks"]["weight_decay"]) == (1e-3, 0.0)
    assert (groups["weights"]["lr"], groups["weights"]["weight_decay"]) == (1e-2, 0.1)
    assert groups["biases"]["weight_decay"] == 0.0


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_step():
    model = classifier()
    torch.nn.init.constant_(model.head.linear.bias, float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"the loss is nan at step 1 \(epoch 1\)"):
        model.training_step(BATCH, 0)


def test_padded_samples_are_scored_as_alone():
    model = classifier().eval()
    lengths = torch.tensor([9, 4, 1, 7, 2])
    x = BATCH["x"].clone()
    for sample, length in enumerate(lengths):
        x[sample, :, length:] = float("nan")
    told = model(x, lengths=lengths)
    for sample, length in enumerate(lengths):
        alone = model(x[sample : sample + 1, :, :length])[0]
        torch.testing.assert_close(told[sample], alone, rtol=1e-4, atol=1e-4)
