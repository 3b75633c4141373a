import json
import math
import re
from math import cos, sin
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks.comparison import training
from benchmarks.comparison.contenders import LEARNING_RATES, PEERS, make_contender, smnist_options
from benchmarks.comparison.networks import (
    GRU,
    DilatedConvolutions,
    Transformer,
    num_parameters,
    of_size,
    sinusoids,
)
from benchmarks.comparison.report import STYLES, markdown, read_documents, write_report
from benchmarks.comparison.training import STEPS_OF_CYCLE, TimedClassifier, score, train
from tasks.data.batches import TensorBatches
from tasks.data.data_module import InMemoryDataModule
from tasks.learning.classifier import Classifier
from tasks.learning.schedules import one_cycle

ROOT = Path(__file__).parents[2]
DATA = SimpleNamespace(num_spatial_dims=1, in_channels=1, size=(784,), num_classes=10)


# The networks.


@pytest.fixture(scope="module")
def options():
    return smnist_options()


@pytest.mark.parametrize("name", ["terminator", *PEERS])
def test_every_network_scores_the_classes_of_sequences_and_every_parameter_learns(options, name):
    model, _ = make_contender(name, options, DATA, lr=None)
    x, y = torch.randn(2, 1, 784), torch.tensor([3, 7])
    assert isinstance(model, Classifier) and model(x).shape == (2, 10)
    model.train_loss(model(x), y).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    grouped = [id(parameter) for group in model.parameter_groups() for parameter in group["params"]]
    assert sorted(grouped) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_has_as_many_parameters_as_the_terminator_within_a_tenth(options, name):
    ours = num_parameters(make_contender("terminator", options, DATA, lr=None)[0])
    assert abs(num_parameters(make_contender(name, options, DATA, lr=None)[0]) - ours) <= 0.1 * ours


def test_the_terminator_is_that_of_the_config_and_a_peer_has_its_own_rate(options):
    terminator, told = make_contender("terminator", options, DATA, lr=None)
    assert told["lr"] == terminator.lr == options["model"]["lr"]
    assert make_contender("gru", options, DATA, lr=None)[1]["lr"] == LEARNING_RATES["gru"]
    gru, told = make_contender("gru", options, DATA, lr=0.25)
    assert {group["lr"] for group in gru.parameter_groups()} == {told["lr"]} == {0.25}
    smoothing = {"label_smoothing": options["model"]["label_smoothing"]}
    assert gru.train_loss.keywords == terminator.train_loss.keywords == smoothing


def test_a_peer_takes_no_padding():
    with pytest.raises(ValueError, match="lengths must be None: GRU takes no padding"):
        GRU(4)(torch.randn(1, 1, 5), lengths=torch.tensor([3]))


def test_of_the_sizes_that_there_are_the_nearest_is_built():
    def build(width):
        return nn.Linear(width, 1, bias=False)

    assert of_size(build, widths=(10, 90, 200), parameters=95)[1] == 90
    assert of_size(build, widths=(10, 90, 100), parameters=96)[0].weight.shape == (1, 100)
    with pytest.raises(ValueError, match="widths must hold one .* 50 parameters within 10%, got 90 at best"):
        of_size(build, widths=(1, 90), parameters=50)


def test_positions_are_marked_by_sines_and_cosines_of_falling_frequencies():
    wanted = [[sin(p), cos(p), sin(p / 100), cos(p / 100)] for p in range(5)]
    torch.testing.assert_close(sinusoids(5, 4), torch.tensor(wanted))


def test_the_last_output_of_the_dilated_convolutions_sees_the_whole_image():
    network = DilatedConvolutions(2).eval()
    x = torch.zeros(1, 1, 784, requires_grad=True)
    network(x)[0, :, 392].sum().backward()
    assert (x.grad[0, 0] != 0).sum() == 784


@pytest.mark.parametrize("network", [GRU(4), Transformer(4, length=50)])
def test_the_order_of_the_pixels_counts(network):
    x = torch.randn(1, 1, 50)
    assert not torch.allclose(network(x).mean(dim=2), network(x.flip(2)).mean(dim=2), atol=1e-6)


# Training on a clock.


class Clock:
    """Every look at it takes a second; validation takes what a test says."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1.0
        return self.now


class Data(InMemoryDataModule):
    num_spatial_dims, in_channels, size, class_names = 1, 1, (4,), ("low", "high")

    def read_splits(self):
        labels = torch.arange(12) % 2
        x = torch.randn(12, 1, 4, generator=torch.Generator().manual_seed(0)) + 3 * labels[:, None, None]
        return dict.fromkeys(("train", "val", "test"), TensorBatches(x=x, y=labels, index=torch.arange(12)))


class Network(nn.Module):
    """A linear map, whose features or whose gradient become NaN after some steps."""

    out_channels = 2

    def __init__(self, fault, after):
        super().__init__()
        self.layer, self.fault, self.after, self.steps, self.weights = nn.Conv1d(1, 2, 1), fault, after, 0, None

    def forward(self, x, *, lengths=None):
        y = self.layer(x)
        if self.training:
            self.steps += 1
            if self.steps > self.after:
                self.weights = self.weights or [weight.detach().clone() for weight in self.parameters()]
                y = y * math.nan if self.fault == "loss" else y + (self.layer.weight.sum() * 0).square().sqrt()
        return y


class RecordingClassifier(TimedClassifier):
    """Keep the learning rate of each step."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.rates = []

    def on_before_optimizer_step(self, optimizer):
        super().on_before_optimizer_step(optimizer)
        self.rates.append(optimizer.param_groups[0]["lr"])


@pytest.fixture
def trained(monkeypatch):
    """Train a linear network for 80 seconds, each validation taking 1,000 more."""
    clock, factors = Clock(), []
    monkeypatch.setattr(training, "time", clock)

    def scored_slowly(model):
        clock.now += 1000.0
        return score(model)

    def cycle(step, **options):
        factors.append((step, options))
        return one_cycle(step, **options)

    monkeypatch.setattr(training, "score", scored_slowly)
    monkeypatch.setattr(training, "one_cycle", cycle)

    def run(fault="loss", after=math.inf, ema_decay=None):
        torch.manual_seed(0)
        model = RecordingClassifier(Network(fault, after), num_classes=2, lr=0.5, ema_decay=ema_decay)
        data = Data(batch_size=5)
        options = {"seconds": 80.0, "warmup": 0.3, "gradient_clip": 1.0, "num_points": 4, "accelerator": "cpu"}
        curve, test = train(model, data, **options)
        return SimpleNamespace(curve=curve, test=test, model=model, factors=factors)

    return run


def test_training_ends_when_the_seconds_are_spent_and_validation_costs_none(trained):
    told = trained()
    assert len(told.curve) == 4
    for number, point in enumerate(told.curve, start=1):
        assert 20 * number <= point["seconds"] <= 20 * number + 6
        assert 4 * point["steps"] - 2 <= point["samples"] <= 4 * point["steps"] + 2
    assert told.curve[-1]["n"] == 12 and told.test == {"accuracy": 1.0, "correct": 12, "n": 12}


def test_the_learning_rate_follows_one_cycle_over_the_seconds(trained):
    told = trained()
    steps = [step for step, _ in told.factors]
    assert steps == sorted(steps) and steps[0] < 0.1 * STEPS_OF_CYCLE and steps[-1] > 0.9 * STEPS_OF_CYCLE
    assert all(options == {"total_steps": STEPS_OF_CYCLE, "warmup": 0.3} for _, options in told.factors)
    assert told.model.rates == [0.5 * one_cycle(step, total_steps=STEPS_OF_CYCLE, warmup=0.3) for step in steps]


def test_the_average_of_the_weights_is_scored_where_there_is_one(trained):
    plain, averaged = trained(), trained(ema_decay=0.9)
    assert not torch.equal(plain.model.head.linear.weight, averaged.model.head.linear.weight)


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_a_network_whose_loss_or_gradient_is_nan_is_scored_as_it_was_and_trains_no_further(trained, fault):
    told = trained(fault, after=2)
    assert [point["diverged"] for point in told.curve] == [True]
    assert told.curve[0]["steps"] == 2 and told.curve[0]["samples"] == 10
    network = told.model.backbone
    assert all(map(torch.equal, network.weights, network.parameters()))
    assert not any(point["diverged"] for point in trained().curve)


# The report.


def document(network, seed=0, accuracy=0.9, **changed):
    facts = {"device": "a machine", "threads": 1, "torch": "2.0", "commit": "0123456789", "uncommitted_changes": False}
    curve = [
        {"seconds": 300.0 * number, "steps": 50 * number, "samples": 2500 * number, "accuracy": accuracy * number / 2,
         "diverged": False}
        for number in (1, 2)
    ]  # fmt: skip
    told = {
        "network": network, "parameters": 98544, "seed": seed, "seconds": 600.0, "warmup": 0.3, "gradient_clip": 1.0,
        "ema_decay": None, "label_smoothing": 0.05, "batch_size": 50, "lr": 0.005, "weight_decay": 0.01,
        "trained_by": "a trainer",
        "split_sizes": {"train": 54000, "val": 6000, "test": 10000}, "curve": curve,
        "test": {"accuracy": accuracy, "correct": int(10000 * accuracy), "n": 10000}, "environment": facts,
    }  # fmt: skip
    facts |= changed.pop("environment", {})
    return told | changed


def write(folder, *documents):
    folder.mkdir(exist_ok=True)
    for told in documents:
        (folder / f"{told['network']}-seed{told['seed']}.json").write_text(json.dumps(told))
    return folder


def table(text):
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_report_is_a_table_and_a_picture_beside_the_folder(tmp_path):
    folder = write(tmp_path / "comparison", document("gru"), document("terminator", accuracy=0.95))
    text = write_report(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comparison", "comparison.md", "comparison.png"]
    assert (tmp_path / "comparison.md").read_text() == text and "](comparison.png)" in text
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert table(text) == [
        ["Terminator", "98,544", "0.005", "100", "8", "47.50%", "95.00%", "0"],
        ["GRU", "98,544", "0.005", "100", "8", "45.00%", "90.00%", "0"],
    ]
    for fact in (
        "trained by a trainer",
        "54,000 training",
        "600 seconds",
        "a machine, 1 thread,",
        "torch 2.0",
        "commit 0123456",
    ):
        assert fact in text


def test_seeds_are_averaged_and_counted():
    told = table(markdown([document("gru", 0, 0.9), document("gru", 1, 0.8)], picture="a.png"))
    assert told == [["GRU", "98,544", "0.005", "100", "8", "42.50 ± 3.54%", "85.00 ± 7.07%", "0, 1"]]


def test_a_diverged_run_is_told():
    told = document("gru")
    told["curve"] = [told["curve"][0] | {"seconds": 200.0, "diverged": True}]
    assert table(markdown([told], picture="a.png")) == [
        ["GRU", "98,544", "0.005", "50", "12", "45.00%", "90.00%", "0 (diverged after 200 s)"]
    ]


def test_uncommitted_changes_are_told():
    told = document("gru", environment={"uncommitted_changes": True})
    assert "commit 0123456 with uncommitted changes" in markdown([told], picture="a.png")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seconds": 60.0}, "seconds must be the same in all results, got 600.0 of gru and 60.0 of terminator"),
        ({"environment": {"threads": 2}}, "threads must be the same in all results, got 1 of gru and 2 of terminator"),
    ],
)
def test_what_was_not_trained_alike_is_not_compared(tmp_path, changed, message):
    folder = write(tmp_path, document("gru"), document("terminator", **changed))
    with pytest.raises(ValueError, match=re.escape(message)):
        read_documents(folder)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ValueError, match="folder must hold results of the comparison, got "):
        write_report(tmp_path)


def test_every_network_has_a_name_and_a_color_of_its_own():
    assert set(STYLES) == {"terminator", *PEERS}
    assert all(len(set(column)) == len(STYLES) for column in zip(*STYLES.values(), strict=True))


def test_the_published_report_is_what_the_published_results_say():
    folder = ROOT / "benchmarks/results/comparison"
    assert folder.with_suffix(".md").read_text() == markdown(read_documents(folder), picture="comparison.png")
