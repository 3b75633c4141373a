import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tasks.command import ROOT, fit, hyperseq

OWN = ROOT / "configs/series/own.yaml"
RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(5, 30, size=40)
X = RANDOM.normal(size=(2, LENGTHS.sum()))
Y = np.array(["idle", "busy"])[np.arange(40) % 2]
NAMES = [f"machine {row}" for row in range(40)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    np.savez(folder / "my.npz", x=X, lengths=LENGTHS, y=Y, names=NAMES)
    answer = fit(folder, "--data.path", folder / "my.npz", "--data.batch_size=8", config=OWN)
    return folder / "own" / "1", answer.out


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_file_becomes_a_run_whose_plan_shows_the_data(run):
    folder, printed = run
    assert f"{LENGTHS.min()} to {LENGTHS.max()}, median" in printed and "14 a class in training" in printed
    assert "% of a training epoch" in printed
    assert [row["name"] for row in rows(folder / "splits.csv")] == NAMES
    tested = [row["name"] for row in rows(folder / "splits.csv") if row["split"] == "test"]
    assert [row["name"] for row in rows(folder / "predictions.csv")] == tested


def test_the_report_names_the_largest_losses_and_draws_sequences(run):
    folder, printed = run
    told = re.findall(r"^  (machine \d+): (idle|busy), predicted (idle|busy) \(0\.\d\d\)$", printed, re.MULTILINE)
    table = {row["name"]: (row["true"], row["predicted"]) for row in rows(folder / "predictions.csv")}
    wrong = [name for name, (true, predicted) in table.items() if true != predicted]
    assert len(told) == min(len(wrong), 5) and all(table[name] == (true, said) for name, true, said in told)
    assert {name for name, *_ in told} <= set(wrong)
    assert (folder / "sequences.png").is_file() and not (folder / "scatter.png").exists()


def test_the_run_answers_new_files_of_any_format_and_names_those_that_cannot_be_read(run, tmp_path):
    folder, _ = run
    np.savez(tmp_path / "new.npz", x=X[:, :300], lengths=[100, 200], names=["p", "q"])
    np.savez(tmp_path / "bad.npz", x=X[:1], lengths=LENGTHS)
    (tmp_path / "new.csv").write_text("id,time,a,b\nr,0,1,2\nr,1,3,4\n")
    out = tmp_path / "told.csv"
    files = [tmp_path / name for name in ("new.npz", "bad.npz", "new.csv", "none.npz")]
    answer = hyperseq("predict", "--run", folder, *files, "--out", out)
    assert answer.code == 1
    assert "bad.npz: x must have 2 channels, as in training, got 1" in answer.err and "none.npz: " in answer.err
    told = rows(out)
    assert [row["name"].removeprefix(f"{tmp_path}/") for row in told] == ["new.npz:p", "new.npz:q", "new.csv:r"]
    assert {row["predicted"] for row in told} <= {"idle", "busy"}


def test_a_sequence_has_its_probability_whatever_shares_its_batch(run, tmp_path):
    """Padding changes nothing, from the file to the table."""
    folder, _ = run
    np.savez(tmp_path / "all.npz", x=X, lengths=LENGTHS, names=NAMES)
    starts = LENGTHS.cumsum() - LENGTHS
    for row in (3, 17):
        alone = X[:, starts[row] : starts[row] + LENGTHS[row]]
        np.savez(tmp_path / f"{row}.npz", x=alone, lengths=[LENGTHS[row]], names=[NAMES[row]])
    shares = {}
    for name in ("all", "3", "17"):
        out = tmp_path / f"{name}.csv"
        assert hyperseq("predict", "--run", folder, tmp_path / f"{name}.npz", "--out", out).code == 0
        shares[name] = {row["name"].split(":")[1]: float(row["probability"]) for row in rows(out)}
    for row in (3, 17):
        assert shares["all"][NAMES[row]] == pytest.approx(shares[str(row)][NAMES[row]], abs=1e-5)
    tested = {row["name"]: float(row["probability"]) for row in rows(folder / "predictions.csv")}
    for name, share in tested.items():
        assert shares["all"][name] == pytest.approx(share, abs=1e-5)


def test_without_a_validation_split_the_last_weights_are_kept_and_no_score_is_called_validation(tmp_path):
    split = ["train"] * 30 + ["test"] * 10
    np.savez(tmp_path / "my.npz", x=X, lengths=LENGTHS, y=Y, split=split)
    answer = fit(tmp_path, "--data.path", tmp_path / "my.npz", "--data.validation=0", config=OWN)
    folder = tmp_path / "own" / "1"
    results = json.loads((folder / "results.json").read_text())
    assert results["selected_on"] == "last" and results["best_epoch"] is None and results["epochs"] == 2
    assert not [name for name in results if name.startswith("val_")] and results["split"]["val"] == 0
    assert not [name for name in rows(folder / "metrics.csv")[0] if name.startswith("val/")]
    assert "Last weights, as no validation chose others: step 2, " in answer.out
    assert "the last weights are kept" in answer.out
    assert f"{100 * results['accuracy']:.2f}%" in hyperseq("results", folder).out
    told = hyperseq("validate", "--config", folder / "config.yaml")
    assert (told.code, told.err) == (
        1, "hyperseq: error: validate must have a validation split, got data without one\n"
    )  # fmt: skip


def test_several_labels_are_trained_by_their_head(tmp_path):
    np.savez(tmp_path / "my.npz", x=X, lengths=LENGTHS, y=RANDOM.integers(0, 2, size=(40, 3)))
    fit(
        tmp_path,
        "--data.path", tmp_path / "my.npz",
        "--data.targets=labels",
        "--model.head=tasks.learning.heads.MultiLabelHead",
        "--model.label_smoothing=0",
        config=OWN,
    )  # fmt: skip
    folder = tmp_path / "own" / "1"
    assert json.loads((folder / "results.json").read_text())["metric"] == "f1"
    assert (folder / "sequences.png").is_file() and not (folder / "scatter.png").exists()


def test_numbers_have_a_config_of_their_own(tmp_path):
    np.savez(tmp_path / "my.npz", x=X, lengths=LENGTHS, y=RANDOM.normal(size=40), names=NAMES)
    answer = fit(tmp_path, "--data.path", tmp_path / "my.npz", config=OWN.with_name("own_regression.yaml"))
    folder = tmp_path / "own_regression" / "1"
    assert json.loads((folder / "results.json").read_text())["metric"] == "mean_absolute_error"
    assert (folder / "sequences.png").is_file() and (folder / "scatter.png").is_file()
    worst = max(rows(folder / "predictions.csv"), key=lambda row: abs(float(row["true"]) - float(row["predicted"])))
    told = answer.out.split("Largest losses on the test split:\n")[1].splitlines()[0]
    true, predicted = (f"{float(worst[name]):.4g}" for name in ("true", "predicted"))
    assert told == f"  {worst['name']}: {true}, predicted {predicted}"
    assert hyperseq("predict", "--run", folder, tmp_path / "my.npz").out.startswith("name,predicted\n")


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"y": Y[:3]}, "y must have one entry a sequence, got 3 for 40 sequences"),
        ({}, "the data must hold targets y to train on, got none"),
        ({"y": ["a"] * 40}, "y must hold at least 2 classes, got 1 ('a')"),
        (
            {"y": Y, "x": np.where(X.max() == X, np.nan, X)},
            "x must hold no missing value with missing: refuse, got 1, the",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_are_one_line_and_leave_nothing_behind(tmp_path, arrays, fault):
    np.savez(tmp_path / "my.npz", **{"x": X, "lengths": LENGTHS} | arrays)
    words = ("--data.path", tmp_path / "my.npz", "--run.root", tmp_path / "runs")
    answer = hyperseq("fit", "--config", OWN, *words)
    assert answer.code == 1 and answer.err.startswith(f"hyperseq: error: {fault}") and answer.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


MEMORY = """
import sys
from pathlib import Path
from tasks.series.own import OwnSequences

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])

before = peak()
OwnSequences(path=sys.argv[1]).setup()
print(peak() - before)
"""


@pytest.mark.fuzz
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak of memory is told by Linux")
@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_a_large_file_is_held_once_from_reading_to_normalized_splits(tmp_path, kind):
    path, x = tmp_path / f"my.{kind}", np.random.default_rng(0).normal(size=(20, 1, 2_000_000)).astype(np.float32)
    y = np.arange(20) % 2
    if kind == "npz":
        np.savez(path, x=x, y=y)
    else:
        np.save(path, x)
        np.save(tmp_path / "my_y.npy", y)
    done = subprocess.run([sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 1.6 * x.nbytes
