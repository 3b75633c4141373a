from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser
from pytorch_lightning import LightningDataModule
from torch import nn

from tests.tasks.command import ROOT, fit
from tests.tasks.images.archives import WRITERS as IMAGE_WRITERS
from tests.tasks.series.files import WRITERS as SERIES_WRITERS
from tests.tasks.speech.archives import WRITERS as SPEECH_WRITERS

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
# As little as every config allows: widths that twelve groups divide, and few of the larger images.
SMALL = ("--model.backbone.channels=[3,12]", "--data.batch_size=4")

RATED = ("tasks.speech.front_ends.LogMel", "tasks.speech.front_ends.MFCC")
"""Stems that take the sample rate of the data."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def folder_with_data(tmp_path_factory):
    """Return a folder where configs find small archives under `data`, as they find the public ones in a clone."""
    folder = tmp_path_factory.mktemp("clone")
    for write in (*IMAGE_WRITERS, *SERIES_WRITERS, *SPEECH_WRITERS):
        write(folder / "data")
    return folder


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_the_first_line_is_the_command_that_runs_it(config):
    assert config.read_text().splitlines()[0] == f"# hyperseq fit --config {name(config)}"


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_a_config_fits_on_a_page(config):
    assert len(config.read_text().splitlines()) < 40


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_config_takes_a_step(config, tmp_path, folder_with_data, monkeypatch):
    monkeypatch.chdir(folder_with_data)
    limits = [f"--trainer.limit_{split}_batches=1" for split in ("train", "val", "test")]
    options = yaml.safe_load(config.read_text())
    stem = options["model"]["backbone"]["init_args"].get("stem", {}).get("init_args", {})
    widths = ["--model.backbone.stem.channels=3"] * ("channels" in stem)
    assert "epoch 1/1" in fit(tmp_path, *limits, *SMALL, *widths, "--trainer.max_epochs=1", config=config).out


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_config_builds_its_network_in_full_width(config, folder_with_data, monkeypatch):
    monkeypatch.chdir(folder_with_data)
    options = yaml.safe_load(config.read_text())
    data = build("data", LightningDataModule, options["data"])
    if not hasattr(data, "size"):
        data.setup()
    backbone = options["model"]["backbone"]
    backbone["init_args"] |= {key: getattr(data, key) for key in ("num_spatial_dims", "in_channels", "size")}
    stem = backbone["init_args"].get("stem", {})
    if stem.get("class_path") in RATED:
        stem["init_args"]["sample_rate"] = data.sample_rate
    if stem.get("class_path") == "hyperseq.nn.TokenEmbedding":
        stem["init_args"]["num_tokens"] = data.num_tokens
    network = build("backbone", nn.Module, backbone)
    assert network.out_channels == backbone["init_args"]["channels"][-1]


def build(key, base, options):
    parser = ArgumentParser()
    parser.add_subclass_arguments(base, key)
    return getattr(parser.instantiate(parser.parse_object({key: options})), key)
