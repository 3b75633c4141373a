from importlib import import_module
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser
from torch import nn

from tests.tasks.command import ROOT, fit
from tests.tasks.images.archives import WRITERS as IMAGE_WRITERS
from tests.tasks.series.files import WRITERS as SERIES_WRITERS

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
# As little as every config allows: widths that twelve groups divide, and few of the larger images.
SMALL = ("--model.backbone.channels=[3,12]", "--data.batch_size=4")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def folder_with_data(tmp_path_factory):
    """Return a folder where configs find small archives under `data`, as they find the public ones in a clone."""
    folder = tmp_path_factory.mktemp("clone")
    for write in (*IMAGE_WRITERS, *SERIES_WRITERS):
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
    assert "epoch 1/1" in fit(tmp_path, *limits, *SMALL, "--trainer.max_epochs=1", config=config).out


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_config_builds_its_network_in_full_width(config, folder_with_data, monkeypatch):
    monkeypatch.chdir(folder_with_data)
    options = yaml.safe_load(config.read_text())
    module, _, class_name = options["data"]["class_path"].rpartition(".")
    data = getattr(import_module(module), class_name)(**options["data"]["init_args"])
    if not hasattr(data, "size"):
        data.setup()
    backbone = options["model"]["backbone"]
    backbone["init_args"] |= {key: getattr(data, key) for key in ("num_spatial_dims", "in_channels", "size")}
    parser = ArgumentParser()
    parser.add_subclass_arguments(nn.Module, "backbone")
    network = parser.instantiate(parser.parse_object({"backbone": backbone})).backbone
    assert network.out_channels == backbone["init_args"]["channels"][-1]
