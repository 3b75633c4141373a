from pathlib import Path

import pytest

from tests.tasks.command import ROOT, fit

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_the_first_line_is_the_command_that_runs_it(config):
    assert config.read_text().splitlines()[0] == f"# hyperseq fit --config {name(config)}"


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_a_config_fits_on_a_page(config):
    assert len(config.read_text().splitlines()) < 40


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_every_config_takes_a_step(config, tmp_path):
    limits = [f"--trainer.limit_{part}_batches=1" for part in ("train", "val", "test")]
    assert "epoch 1/1" in fit(tmp_path, *limits, "--trainer.max_epochs=1", config=config).out
