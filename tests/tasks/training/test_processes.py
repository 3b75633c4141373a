"""Laws of processes that train one run together: their result is that of one process."""

import json
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader

from tasks.data import batches
from tasks.data.batches import BatchOrder
from tasks.errors import UserError
from tasks.images.digits import Digits
from tasks.learning import predictions
from tasks.learning.predictions import Predictions
from tests.tasks.command import DIGITS, ROOT, TINY, hyperseq

# 1,257 samples in batches of 100: the last one is shared unevenly.
WORDS = ("fit", "--config", DIGITS, *TINY[:1], "--data.batch_size=100", *TINY[3:], "--model.lr=3e-2")
WORDS = (*WORDS, "--trainer.precision=64-true", "--trainer.accelerator=cpu")


class OwnLoaders(Digits):
    """Every process would see all batches."""

    def train_dataloader(self):
        return DataLoader(list(super().train_dataloader()), batch_size=None)


def test_two_processes_reach_the_weights_scores_and_predictions_of_one(tmp_path):
    runs = {}
    for number in (1, 2):
        words = [*WORDS, f"--run.root={tmp_path}", f"--run.name={number}", f"--trainer.devices={number}"]
        command = [sys.executable, "-m", "tasks.cli", *words]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert (answer.returncode, answer.stderr) == (0, "") and answer.stdout.count("Best weights") == 1
        runs[number] = tmp_path / f"{number}/1"
    assert "2 processes that share each batch" in answer.stdout
    one, two = (torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in runs.values())
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-8, atol=1e-8, msg=name)
    for name in ("predictions.csv", "mistakes.csv", "confusion_matrix.csv"):
        assert (runs[2] / name).read_text() == (runs[1] / name).read_text()
    (_, *rows), (_, *others) = ((run / "metrics.csv").read_text().splitlines() for run in runs.values())
    for row, other in zip(rows, others, strict=True):
        # The metrics of the table are float32.
        assert list(map(float, row.split(","))) == pytest.approx(list(map(float, other.split(","))), rel=1e-6)
    told = [json.loads((run / "results.json").read_text()) for run in runs.values()]
    assert told[0]["steps"] == told[1]["steps"] == 26 and "processes" not in told[0] and told[1]["processes"] == 2
    # Verbs that read the run do so in two processes, too, or in one.
    assert hyperseq("test", "--config", runs[2] / "config.yaml", "--trainer.devices=1").code == 0


def let_three_processes_train(monkeypatch, rank):
    monkeypatch.setattr(batches, "find_process", lambda: (rank, 3))


@pytest.mark.parametrize("lengths", [None, torch.arange(1, 18)])
def test_processes_share_each_batch_of_one_process(lengths, monkeypatch):
    order = BatchOrder(17, batch_size=7, seed=0, lengths=lengths)
    order.set_epoch(2)
    alone, shares = list(order), []
    for rank in range(3):
        let_three_processes_train(monkeypatch, rank)
        shares.append(list(order))
    for whole, *parts in zip(alone, *shares, strict=True):
        assert sorted(whole.rows) == sorted(row for part in parts for row in part.rows)
        assert {part.epoch for part in parts} == {2} and all(part.rows for part in parts)


def test_in_evaluation_a_process_without_a_share_repeats_a_sample_that_counts_once(monkeypatch):
    order = BatchOrder(8, batch_size=7)
    shares = []
    for rank in range(3):
        let_three_processes_train(monkeypatch, rank)
        shares.append([row for batch in order for row in batch.rows])
    assert sorted(row for share in shares for row in share) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]
    own = [Predictions(torch.tensor(share), torch.tensor(share), torch.tensor(share) * 2.0) for share in shares]

    def gather(collected, share):
        collected[:] = [(each.index, each.targets, each.outputs) for each in own]

    monkeypatch.setattr(predictions, "find_process", lambda: (0, 3))
    monkeypatch.setattr(predictions.distributed, "all_gather_object", gather)
    joined = Predictions.join(own[:1])
    assert joined.index.tolist() == joined.targets.tolist() == list(range(8))
    assert joined.outputs.tolist() == [2.0 * row for row in range(8)]


def test_a_training_batch_with_fewer_samples_than_processes_is_refused(monkeypatch):
    let_three_processes_train(monkeypatch, 1)
    told = "last batch of an epoch one sample for each of 3 processes, got 5, which leaves 2 of 17"
    with pytest.raises(UserError, match=told):
        next(iter(BatchOrder(17, batch_size=5, seed=0)))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--model.class_weights=balanced", "model.class_weights must be null for 2 processes"),
        ("--data.batch_size=628", "one sample for each of 2 processes, got 628, which leaves 1 of 1257"),
        ("--data=tests.tasks.training.test_processes.OwnLoaders", "trainer.devices must be 1 with OwnLoaders: its "),
    ],
)
def test_what_several_processes_would_not_do_as_one_is_refused_before_any_starts(word, told, tmp_path):
    answer = hyperseq(*WORDS, word, f"--run.root={tmp_path / 'runs'}", "--trainer.devices=2")
    assert answer.code == 1 and told in answer.err and not (tmp_path / "runs").exists()
