"""A user's own network, data, head and optimizer: files beside a config, in a folder that was empty before."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.tasks.command import ROOT, Answer, hyperseq

OWN = Path(__file__).parent / "own"
CONFIG = {
    "run": {"name": "own"},
    "trainer": {"max_epochs": 2},
    "data": {"class_path": "ragged_data.RaggedData"},
    "model": {"backbone": {"class_path": "gru_backbone.GRUBackbone"}, "lr": 0.01},
}
PARTS = """
import numpy as np
import torch
from torch import nn

from tasks.learning.heads import ClassificationHead, RegressionHead
from ragged_data import RaggedData


class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr, power: float = 1.0):
        super().__init__(params, {"lr": lr, "power": power})

    def step(self, closure=None):
        loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.sub_(parameter.grad.sign(), alpha=group["lr"])
        return loss


class KeywordRate(torch.optim.SGD):
    def __init__(self, params, *, lr: float):
        super().__init__(params, lr=lr)


class LastHead(ClassificationHead):
    def forward(self, features, *, lengths=None):
        last = features.shape[2] - 1 if lengths is None else lengths - 1
        return self.linear(features[torch.arange(len(features)), :, last])


class Numbers(RaggedData):
    class_names = ("mean",)

    def read_splits(self):
        splits = super().read_splits()
        for split in splits.values():
            split.y = split.y.float()
        return splits

    @property
    def sample_names(self):
        return [f"{number}.wav" for number in range(60)]


class Fails(RaggedData):
    def read_splits(self):
        return {}["train"] if self.seed == 0 else int("not a number")


class Incomplete(RaggedData):
    class_names = ("one",)

    def read_splits(self):
        splits = super().read_splits()
        return {name: splits[name] for name in ("train", "test")}


class Rows(RaggedData):
    # a split that is wrong in one way
    def __init__(self, *, wrong: str, **options):
        super().__init__(**options)
        self.wrong = wrong

    def read_splits(self):
        splits = super().read_splits()
        test = splits["test"]
        if self.wrong == "index":
            test.index = test.index[:3]
        elif self.wrong == "arrays":
            test.x = [x.numpy() for x in test.x]
        elif self.wrong == "axes":
            test.x = [x.mT for x in test.x]
        elif self.wrong == "late":
            test.y[-1] = 7
        elif self.wrong == "learnt":
            self.learnt = {"means": [np.zeros(3)]}
        elif self.wrong == "list":
            return list(splits.values())
        elif self.wrong == "names":
            self.sample_names = [str(number) for number in range(59)]
        elif self.wrong == "tuple":
            splits["test"] = (test.x, test.y)
        elif self.wrong == "real":
            for split in splits.values():
                split.y = split.y.float()
        elif self.wrong == "nan":
            splits["train"].x = [x * float("nan") for x in splits["train"].x]
        return splits


class NoSuper(RaggedData):
    def __init__(self):
        self.batch_size = 8


class Half(nn.Module):
    out_channels = 2

    def __init__(self, in_channels, *, result: str = "half"):
        super().__init__()
        self.mixing, self.result = nn.Conv1d(in_channels, 2, 1), result

    def forward(self, x, *, lengths=None):
        features = self.mixing(x)
        return (features, None) if self.result == "tuple" else features[..., ::2]


class ListHead(ClassificationHead):
    def predictions(self, outputs):
        return {"predicted": outputs.argmax(dim=1).tolist()}


class NamelessHead(ClassificationHead):
    def predictions(self, outputs):
        return {"class": outputs.argmax(dim=1)}


class ShortHead(ClassificationHead):
    def forward(self, features):
        return self.linear(features.mean(dim=2))


class BadNetwork(nn.Module):
    out_channels = 2

    def __init__(self, in_channels):
        super().__init__()
        self.mixing = nn.Conv1d(in_channels, 2, 1)

    def forward(self, x, *, lengths=None):
        if self.training:
            raise ValueError("my own mistake")
        return self.mixing(x)


class Ids(RaggedData):
    num_tokens, in_channels = 5, 1

    def read_splits(self):
        splits = super().read_splits()
        for split in splits.values():
            split.x = [x[0].abs().long().clamp(max=4) for x in split.x]
        return splits


class NoLengths(nn.Module):
    def __init__(self, d_model):
        super().__init__()

    def forward(self, x):
        return x


class Wide(nn.Conv1d):
    def __init__(self):
        super().__init__(2, 7, 1)


class Boastful(Half):
    def output_lengths(self, lengths):
        return lengths


class NoNetwork(nn.Module):
    def forward(self, x):
        return x
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the current folder: it holds the two files, more of a user's own modules, and one config."""
    for file in OWN.glob("*.py"):
        shutil.copy(file, tmp_path)
    (tmp_path / "own_parts.py").write_text(PARTS)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    # Modules of other tests have the same names.
    for name in ("own_parts", *(file.stem for file in OWN.glob("*.py"))):
        sys.modules.pop(name, None)


def in_a_new_process(cwd, *words):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-m", "tasks.cli", *map(str, words)]
    told = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return Answer(told.returncode, told.stdout, told.stderr)


def test_a_network_and_data_of_variable_length_train_test_predict_and_appear_in_the_results(folder, tmp_path_factory):
    assert len((OWN / "gru_backbone.py").read_text().splitlines()) <= 25
    assert len((OWN / "ragged_data.py").read_text().splitlines()) <= 40
    answer = in_a_new_process(folder, "fit", "--config", "own.yaml")
    assert (answer.code, answer.err) == (0, "")
    run, elsewhere = folder / "runs/own/1", tmp_path_factory.mktemp("elsewhere")
    assert not (run / "hyper_kernels.png").exists() and (run / "confusion_matrix.png").exists()
    assert yaml.safe_load((run / "config.yaml").read_text())["run"]["import_from"] == [str(folder)]
    assert json.loads((run / "results.json").read_text())["input_shape"] == [2, 24]
    torch.save(torch.zeros(2, 7), elsewhere / "zeros.pt")
    answer = in_a_new_process(elsewhere, "predict", "--run", run, "zeros.pt")
    assert (answer.code, answer.err) == (0, "")
    assert re.fullmatch(r"name,predicted,probability\nzeros.pt,(low|high),0\.\d+\n", answer.out)
    answer = hyperseq("test", "--config", run / "config.yaml")
    assert (answer.code, answer.err) == (0, "")
    answer = hyperseq("results", folder / "runs")
    assert answer.code == 0 and "own" in answer.out and "%" in answer.out
    resumed = in_a_new_process(
        elsewhere, "fit", "--config", run / "config.yaml", "--ckpt_path=last", "--trainer.max_epochs=3"
    )
    assert (resumed.code, resumed.err) == (0, "") and "resumed after 2" in resumed.out


def test_an_own_head_and_an_own_optimizer_are_named_like_any(folder):
    words = ("--model.head=own_parts.LastHead", "--model.optimizer=own_parts.Signs", "--model.optimizer.power=2")
    answer = hyperseq("fit", "--config", "own.yaml", *words)
    assert (answer.code, answer.err) == (0, "") and "Signs, one_cycle" in answer.out
    config = yaml.safe_load((folder / "runs/own/1/config.yaml").read_text())["model"]
    assert config["optimizer"] == {"class_path": "own_parts.Signs", "init_args": {"power": 2.0}}
    assert hyperseq("test", "--config", "runs/own/1/config.yaml").code == 0


def test_numbers_are_trained_tested_and_predicted_with_the_names_of_the_samples(folder):
    words = ("--data=own_parts.Numbers", "--model.head=tasks.learning.heads.RegressionHead")
    answer = hyperseq("fit", "--config", "own.yaml", *words)
    assert (answer.code, answer.err) == (0, "")
    run = folder / "runs/own/1"
    told = json.loads((run / "results.json").read_text())
    assert told["metric"] == "mean_absolute_error" and told["n"] == 10 and "accuracy" not in told
    assert not (run / "confusion_matrix.csv").exists() and (run / "curves.png").exists()
    rows = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
    assert list(rows[0]) == ["index", "name", "true", "predicted"] and rows[0]["name"] == "50.wav"
    error = sum(abs(float(row["true"]) - float(row["predicted"])) for row in rows) / len(rows)
    assert error == pytest.approx(told["mean_absolute_error"], rel=1e-5)
    assert hyperseq("results", "runs").code == 0


@pytest.mark.parametrize(("seed", "error"), [(0, "KeyError: 'train'"), (1, "ValueError: invalid literal")])
def test_an_error_in_the_users_own_data_module_keeps_file_and_line(folder, seed, error):
    answer = hyperseq("fit", "--config", "own.yaml", "--data=own_parts.Fails", f"--seed_everything={seed}")
    assert answer.code == 1 and error in answer.err
    assert f'{folder / "own_parts.py"}", line ' in answer.err
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(("text", "error"), [("class Data(:", "SyntaxError"), ("import nothing_here", "No module")])
def test_an_error_at_the_import_of_an_own_module_keeps_file_and_line(folder, text, error):
    (folder / "own_broken.py").write_text(f"\n\n{text}\n")
    answer = hyperseq("fit", "--config", "own.yaml", "--data=own_broken.Data")
    assert answer.code == 1 and error in answer.err and f'{folder / "own_broken.py"}", line 3' in answer.err
    assert not (folder / "runs").exists()


def test_an_error_in_the_users_own_network_keeps_file_and_line_and_names_where_it_is_kept(folder):
    answer = hyperseq("fit", "--config", "own.yaml", "--model.backbone=own_parts.BadNetwork")
    error = folder / "runs/own/1/error.txt"
    assert answer.code == 1 and "ValueError: my own mistake" in answer.err
    assert f'{folder / "own_parts.py"}", line ' in answer.err and "my own mistake" in error.read_text()
    assert answer.err.splitlines()[-1] == "hyperseq: the traceback is kept in runs/own/1/error.txt"


def test_all_that_a_data_module_lacks_is_one_line_before_anything_is_written(folder):
    answer = hyperseq("fit", "--config", "own.yaml", "--data=own_parts.Incomplete")
    assert answer.code == 1 and answer.err.count("\n") == 1
    for told in ("Incomplete is no data module that can be trained on", "split_sizes", "num_classes = 1"):
        assert told in answer.err
    assert not (folder / "runs").exists()


def test_all_that_a_network_lacks_is_one_line_before_anything_is_written(folder):
    answer = hyperseq("fit", "--config", "own.yaml", "--model.backbone=own_parts.NoNetwork")
    assert answer.code == 1 and answer.err.count("\n") == 1
    for told in ("NoNetwork is no backbone that can be trained", "out_channels", "forward must take lengths=None"):
        assert told in answer.err
    assert not (folder / "runs").exists()


ROWS = "--data=own_parts.Rows", "--data.wrong"
HALF = "--model.backbone=own_parts.Half"
STACK = ("--model.backbone=hyperseq.backbones.ResidualStack", "--model.backbone.depth=1", "--model.backbone.d_model=4")
TERMINATOR = "--model.backbone=hyperseq.Terminator", "--model.backbone.channels=[4,4]"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*ROWS, "index"), "x, y and index must have one entry a sample, got 10, 10 and 3"),
        ((*ROWS, "arrays"), "x must hold tensors, got ndarray"),
        ((*ROWS, "axes"), "samples of x must be (C, L_i) and differ in length alone, got [('torch.float32', ("),
        ((*ROWS, "late"), "test: y must hold classes from 0 to 1 (num_classes = 2), got from 0 to 7"),
        ((*ROWS, "learnt"), "must hold numbers, texts, lists, dicts and tensors, got ndarray for means.0"),
        ((*ROWS, "list"), "read_splits must return a dict of train, val and test, got list"),
        ((*ROWS, "names"), "sample_names must hold a name for each index, got 59 names and an index from 50 to 59"),
        ((*ROWS, "tuple"), "read_splits must return TensorBatches for each split, got tuple for test"),
        ((*ROWS, "real"), "y must be classes, (B,) of int64 with ClassificationHead, got (8,) of real numbers"),
        ((*ROWS, "nan"), "the loss is nan at step 1 (epoch 1); x of this batch holds NaN or infinity"),
        (("--data=own_parts.NoSuper",), "NoSuper.__init__ must call super().__init__(**options), got no such call"),
        (("--model.head=tasks.learning.heads.RegressionHead",), "y must be real, (B,) or (B, num_targets) of float32"),
        ((HALF,), "Half must have a method output_lengths(lengths), since its features have another length"),
        ((HALF, "--model.backbone.result=tuple"), "Half must return features (B, C, *S)"),
        (("--model.backbone=own_parts.Boastful",), "Boastful.output_lengths must return 1 to 13, the positions of the"),
        ((*STACK, "--model.backbone.layer=own_parts.NoLengths"), "whose forward does not take lengths, got NoLengths"),
        ((*TERMINATOR, "--model.backbone.stem=own_parts.Wide"), "stem output must have 4 channels, got shape (8, 7, "),
        ((*TERMINATOR, "--data=own_parts.Ids"), "such as hyperseq.nn.TokenEmbedding, got torch.int64"),
        (("--model.head=own_parts.ListHead",), "one a sample, got list for predicted"),
        (("--model.head=own_parts.NamelessHead",), "`predicted` among them, got class"),
        (("--model.head=own_parts.ShortHead",), "forward(features, *, lengths=None) must be there"),
        (("--data=sinals.Data",), "data must be an import path, such as package.module.Class: No module named 'sinals"),
        (("--model.backbone=own_parts.Nothing",), "module 'own_parts' has no attribute 'Nothing'"),
        (("--model.optimizer=own_parts.KeywordRate",), "optimizer must take parameter groups and lr as (groups, lr)"),
        (("--model.optimizer=torch.optim.LBFGS",), "LBFGS doesn't support per-parameter options"),
        (("--model.optimizer=torch.optim.SparseAdam",), "optimizer must take dense gradients, got SparseAdam"),
        (("--trainer.val_check_interval=100",), "`val_check_interval` (100) must be less than or equal to"),
        (("--model.optimizer=mine.Signs",), "model.optimizer must be an import path"),
    ],
)
def test_a_plain_mistake_is_one_line_before_the_first_step_has_ended(folder, words, told):
    answer = hyperseq("fit", "--config", "own.yaml", *words)
    assert answer.code in (1, 2) and answer.err.count("\n") == 1 and told in answer.err
    assert not list(folder.glob("runs/own/*/results.json"))


def test_plan_and_report_tell_of_sequences_that_are_longer_than_the_kernels_were_trained_for(folder):
    answer = hyperseq("fit", "--config", "own.yaml", *TERMINATOR, "--trainer.max_epochs=1")
    assert (answer.code, answer.err) == (0, "")
    longer = "13 of 40 train, 1 of 10 val, 2 of 10 test: up to 30 positions, trained for 24"
    told = " ".join(answer.out.split())
    assert f"longer {longer}; the kernels read on, which costs accuracy " in told
    assert f"longer inputs: {longer} " in told
    assert "longer" not in hyperseq("fit", "--config", "own.yaml", "--trainer.max_epochs=1").out


def test_a_preset_is_named_like_any_network(folder):
    words = ("--model.backbone=hyperseq.backbones.TerminatorCIFAR", "--print_config")
    answer = hyperseq("fit", "--config", ROOT / "configs/images/cifar10_2d.yaml", *words)
    assert answer.code == 0, answer.err
