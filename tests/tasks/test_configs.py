from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser
from pytorch_lightning import LightningDataModule
from torch import nn

from tasks.images import generated_pathfinder
from tasks.lra import listops
from tests.tasks.command import ROOT, hyperseq
from tests.tasks.images.archives import WRITERS as IMAGE_WRITERS
from tests.tasks.images.folders import write_pathfinder
from tests.tasks.lra.archives import WRITERS as LRA_WRITERS
from tests.tasks.series.files import WRITERS as SERIES_WRITERS
from tests.tasks.speech.archives import WRITERS as SPEECH_WRITERS

pytestmark = pytest.mark.usefixtures("blank_pictures")

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
# As little as every config allows: widths that twelve groups divide, and few of the larger images.
SMALL = ("--data.batch_size=4",)
WIDTHS = {
    "channels": ("--model.backbone.channels=[3,12]", "--model.backbone.slow_hidden_channels=4"),
    "d_model": ("--model.backbone.d_model=8", "--model.backbone.depth=1"),
}
# Few of what is generated, where the class generates; a test of its own generates more.
FEW = {
    "tasks.lra.listops.ListOps": ("--data.num_train=4",),
    "tasks.images.pathfinder.Pathfinder": ("--data.num_train=4", "--data.num_evaluated=4"),
}

COMBINATIONS = [
    (precision, average)
    for average in ("null", "0.9")
    for precision in ("bf16-mixed", "64-true", "32-true", "bf16-true")
]

RATED = ("tasks.speech.front_ends.LogMel", "tasks.speech.front_ends.MFCC")
"""Stems that take the sample rate of the data."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def stem_of(backbone):
    """Return the stem of a backbone with its options; a stem without options is named by a text alone."""
    stem = backbone.get("stem", {})
    return {"class_path": stem} if isinstance(stem, str) else stem


@pytest.fixture(scope="module")
def folder_with_data(tmp_path_factory):
    """Return a folder where configs find small archives under `data`, as they find the public ones in a clone."""
    folder = tmp_path_factory.mktemp("clone")
    for write in (*IMAGE_WRITERS, *LRA_WRITERS, *SERIES_WRITERS, *SPEECH_WRITERS):
        write(folder / "data")
    write_pathfinder(folder / "data", side=256)
    return folder


@pytest.fixture(autouse=True)
def generate_few(monkeypatch):
    monkeypatch.setattr(listops, "NUM_VALIDATION", 4)
    monkeypatch.setattr(listops, "NUM_TEST", 4)
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**19)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_the_first_line_is_the_command_that_runs_it(config):
    assert config.read_text().splitlines()[0] == f"# hyperseq fit --config {name(config)}"


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_a_config_fits_on_a_page(config):
    assert len(config.read_text().splitlines()) < 40


def train(config, root, *words):
    """Train a small form of what a config names, on a batch an epoch; the current folder holds the data."""
    limits = [f"--trainer.limit_{split}_batches=1" for split in ("train", "val", "test")]
    options = yaml.safe_load(config.read_text())
    backbone = options["model"]["backbone"]["init_args"]
    stem = stem_of(backbone).get("init_args", {})
    width = 3 if "channels" in backbone else 8
    widths = [f"--model.backbone.stem.channels={width}"] * ("channels" in stem)
    widths += [word for key, words in WIDTHS.items() if key in backbone for word in words]
    if options["data"]["init_args"].get("source") == "generated":
        widths += FEW[options["data"]["class_path"]]
    answer = hyperseq("fit", "--config", config, "--run.root", root, *limits, *SMALL, *widths, *words)
    assert (answer.code, answer.err) == (0, "")
    return answer.out


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_config_takes_a_step(config, tmp_path, folder_with_data, monkeypatch):
    monkeypatch.chdir(folder_with_data)
    assert "epoch 1/1" in train(config, tmp_path, "--trainer.max_epochs=1")


@pytest.mark.torture
@pytest.mark.parametrize(("number", "config"), list(enumerate(CONFIGS)), ids=map(name, CONFIGS))
def test_every_config_trains_in_a_combination_of_precision_and_average(
    number, config, tmp_path, folder_with_data, monkeypatch
):
    monkeypatch.chdir(folder_with_data)
    precision, average = COMBINATIONS[number % len(COMBINATIONS)]
    words = (f"--trainer.precision={precision}", f"--model.ema_decay={average}", "--trainer.max_epochs=20")
    out = train(config, tmp_path, *words)
    assert f"precision {precision}" in out and "epoch 20/20" in out


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_config_builds_its_network_in_full_width(config, folder_with_data, monkeypatch):
    monkeypatch.chdir(folder_with_data)
    options = yaml.safe_load(config.read_text())
    data = build("data", LightningDataModule, options["data"])
    backbone = options["model"]["backbone"]
    stem = stem_of(backbone["init_args"])
    is_embedding = stem.get("class_path") == "hyperseq.nn.TokenEmbedding"
    if not hasattr(data, "size") or (is_embedding and data.num_tokens is None):
        data.setup()
    linked = ("num_spatial_dims", "in_channels", "size") if "channels" in backbone["init_args"] else ("in_channels",)
    backbone["init_args"] |= {key: getattr(data, key) for key in linked}
    if stem.get("class_path") in RATED:
        stem["init_args"]["sample_rate"] = data.sample_rate
    if is_embedding:
        stem["init_args"]["num_tokens"] = data.num_tokens
    network = build("backbone", nn.Module, backbone)
    options = backbone["init_args"]
    assert network.out_channels == (options["channels"][-1] if "channels" in options else options["d_model"])


def build(key, base, options):
    parser = ArgumentParser()
    parser.add_subclass_arguments(base, key)
    return getattr(parser.instantiate(parser.parse_object({key: options})), key)
