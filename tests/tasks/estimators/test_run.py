import re
import shutil

import numpy as np
import pytest
import torch

from tasks.errors import UserError
from tasks.estimators import load_run
from tasks.images.digits import Digits
from tests.tasks.command import fit, hyperseq

OWN = """
import torch
from torch import nn
from tasks.data.batches import TensorBatches
from tasks.data.data_module import InMemoryDataModule

class Network(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels, self.layer = 4, nn.Conv1d(in_channels, 4, 1)
    def forward(self, x, *, lengths=None):
        return self.layer(x)

class Data(InMemoryDataModule):
    num_spatial_dims, in_channels, size = 1, 2, (5,)
    def __init__(self, batch_size: int = 4, **options) -> None:
        super().__init__(batch_size=batch_size, **options)
    def read_splits(self):
        self.class_names = ("a", "b")
        x, y = torch.randn(4, 2, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0, 1])
        return {name: TensorBatches(x=x, y=y, index=torch.arange(4)) for name in ("train", "val", "test")}
"""
CONFIG = """
run: {name: own}
trainer: {max_epochs: 1, accelerator: cpu}
data: {class_path: own_estimator_parts.Data}
model: {backbone: {class_path: own_estimator_parts.Network}}
"""


def test_the_model_predicts_what_the_run_predicted(trained):
    run = load_run(str(trained.folder))
    lines = (trained.folder / "predictions.csv").read_text().splitlines()
    told = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    batch = next(iter(run.data.test_dataloader()))
    probabilities = run.predict(batch["x"])
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(len(probabilities)))
    highest, predicted = probabilities.max(dim=1)
    by_index = {row["index"]: row for row in told}
    for index, label, share in zip(batch["index"].tolist(), predicted.tolist(), highest.tolist(), strict=True):
        assert by_index[str(index)]["predicted"] == str(label)
        assert float(by_index[str(index)]["probability"]) == pytest.approx(share, abs=1e-4)
    assert run.class_names == tuple("0123456789") and not run.model.training


def test_data_are_read_when_they_are_asked_for_and_the_random_numbers_stay(trained, tmp_path, monkeypatch):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    np.save(tmp_path / "one.npy", np.ones((8, 8)))
    torch.manual_seed(5)
    with monkeypatch.context() as patch:
        patch.setattr(Digits, "read_splits", lambda self: pytest.fail("the data set was read"))
        run = load_run(trained.folder)
        (sample,) = run.read_samples(tmp_path / "one.npy").values()
        assert run.predict(sample[None]).shape == (1, len(run.class_names)) == (1, 10)
    assert torch.equal(torch.rand(1), wanted)
    assert run.data.split_sizes["test"] == 360 and run.data.learnt


def test_a_run_of_own_modules_is_loaded(tmp_path):
    (tmp_path / "own_estimator_parts.py").write_text(OWN)
    (tmp_path / "own.yaml").write_text(CONFIG)
    answer = hyperseq("fit", "--config", tmp_path / "own.yaml", "--run.root", tmp_path / "runs")
    assert answer.code == 0, answer.err
    run = load_run(tmp_path / "runs" / "own" / "1")
    assert run.class_names == ("a", "b")
    assert run.predict(torch.randn(3, 2, 9)).shape == (3, 2)
    lengths = torch.tensor([9, 4, 1])
    assert run.predict(torch.randn(3, 2, 9), lengths).shape == (3, 2)


@pytest.mark.parametrize("shape", [(1, 64), (3, 2, 64), (3, 1, 8, 8)])
def test_inputs_of_a_wrong_shape_are_refused(trained, shape):
    message = f"x must have the shape (B, 1, S1), got {shape}"
    with pytest.raises(UserError, match=re.escape(message)):
        load_run(trained.folder).predict(torch.randn(shape))


def test_inputs_that_are_not_finite_are_refused(trained):
    with pytest.raises(UserError, match="x must be finite, got NaN or infinity"):
        load_run(trained.folder).predict(torch.full((1, 1, 64), torch.nan))


def test_a_run_of_an_earlier_version_is_refused(trained, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / "old")
    checkpoint = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    torch.save({name: value for name, value in checkpoint.items() if name != "data"}, run / "checkpoints/best.ckpt")
    with pytest.raises(UserError, match="path must be a run of this version, got .*, whose checkpoint has no data"):
        load_run(run)


def test_a_data_module_that_reads_no_files_is_named(trained, monkeypatch):
    monkeypatch.delattr(Digits, "read_samples")
    with pytest.raises(UserError, match=r"Digits must have a method read_samples\(path\) to read files, got none"):
        load_run(trained.folder).read_samples("new.npy")


def test_what_is_no_finished_run_is_refused(tmp_path, trained):
    with pytest.raises(UserError, match="path must be a run folder, got .* without config.yaml"):
        load_run(tmp_path)
    shutil.copy(trained.folder / "config.yaml", tmp_path)
    with pytest.raises(UserError, match="path must be a run that has finished an epoch, got .* without a best"):
        load_run(tmp_path)


def test_the_example_of_the_docstring_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(tmp_path / "runs")
    lines = re.findall(r">>> (.*?)  # doctest", load_run.__doc__)
    names = {"load_run": load_run}
    exec("\n".join([*lines[:-1], f"answer = {lines[-1]}"]), names)
    assert names["answer"].shape == (128,)
