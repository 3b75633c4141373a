"""Every figure of a finished training is what its name says, or is absent."""

import csv
import json

import pytest
import torch

from tests.tasks.command import fit, hyperseq

pytestmark = pytest.mark.usefixtures("blank_pictures")


def results(run):
    """Read the results; what JSON lacks, such as NaN, would fail."""
    return json.loads((run / "results.json").read_text(), parse_constant=pytest.fail)


def weights(run, name):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize(
    ("words", "steps", "epochs"),
    [
        (("--trainer.max_steps=3", "--trainer.check_val_every_n_epoch=2"), 3, 1),
        (("--trainer.max_epochs=0",), 0, 0),
    ],
)
def test_a_training_without_a_validation_concludes_with_its_last_weights_and_says_so(tmp_path, words, steps, epochs):
    answer = fit(tmp_path, *words)
    run = tmp_path / "digits/1"
    assert answer.err == "" and f"Last weights, as no validation chose others: step {steps}" in answer.out
    if steps:
        assert "none within these steps: the last weights are kept" in answer.out.split("epoch 1/")[0]
    told = results(run)
    assert (told["selected_on"], told["best_epoch"], told["best_step"]) == ("last", None, steps)
    assert (told["epochs"], told["steps"], told["n"], told["val_n"]) == (epochs, steps, 360, 180)
    assert all(torch.equal(value, weights(run, "last")[name]) for name, value in weights(run, "best").items())
    assert f"{100 * told['accuracy']:.2f}%" in hyperseq("test", "--config", run / "config.yaml").out
    assert hyperseq("results", run).code == 0


def test_what_is_not_validated_or_tested_has_no_figure(tmp_path):
    answer = fit(tmp_path, "--trainer.limit_test_batches=0", "--trainer.max_epochs=1")
    fit(tmp_path, "--trainer.limit_val_batches=0", "--trainer.max_epochs=1")
    untested, unvalidated = (tmp_path / "digits" / number for number in "12")
    told = results(untested)
    assert not {"accuracy", "cross_entropy", "n", "correct", "interval_95"} & set(told)
    assert told["selected_on"] == "validation" and told["val_n"] == 180
    assert not {path.stem for path in untested.iterdir()} & {"predictions", "confusion_matrix"}
    assert "│ test" not in answer.out and "test: 0 of 360 samples, by trainer.limit_test_batches" in answer.out
    told = results(unvalidated)
    assert told["selected_on"] == "last" and told["n"] == 360
    assert not [name for name in told if name.startswith("val_")]
    assert hyperseq("results", tmp_path / "digits", "--all").code == 0


def test_a_part_of_a_split_is_told_as_a_part(tmp_path):
    answer = fit(tmp_path, "--trainer.limit_test_batches=2", "--trainer.max_epochs=1")
    assert results(tmp_path / "digits/1")["n"] == 256
    assert "test: 256 of 360 samples, by trainer.limit_test_batches" in answer.out


def test_a_run_cut_within_an_epoch_goes_on_with_no_other_training(tmp_path):
    fit(tmp_path, "--trainer.max_steps=3")
    run = tmp_path / "digits/1"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    answer = hyperseq("fit", "--config", run / "config.yaml", "--ckpt_path=last", "--trainer.max_steps=-1")
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert "got one after 1 batches of epoch 2 (step 3)" in answer.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_more_epochs_make_a_schedule_of_their_own(tmp_path):
    fit(tmp_path, "--trainer.max_epochs=1")
    run = tmp_path / "digits/1"
    go_on = ("fit", "--config", run / "config.yaml", "--ckpt_path=last", "--trainer.max_epochs=2")
    assert "the end of its schedule" not in hyperseq(*go_on).out
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["2", "4"]
    answer = hyperseq(*go_on[:-1], "--trainer.max_epochs=3", "--trainer.accumulate_grad_batches=2")
    assert "3, of which 4 are taken: the learning rate is at the end of its schedule" in answer.out


def test_a_result_that_is_no_number_is_null(tmp_path):
    words = ("--model.lr=1e30", "--model.schedule=constant", "--model.warmup=0")
    fit(tmp_path, *words, "--trainer.max_steps=1")
    assert results(tmp_path / "digits/1")["cross_entropy"] is None
    assert hyperseq("results", tmp_path / "digits", "--all").code == 0


def test_a_picture_that_fails_is_a_line(tmp_path, monkeypatch):
    def fail(path, *content, **options):
        path.write_bytes(b"half")
        raise RuntimeError("no font")

    monkeypatch.setattr("tasks.training.report.plot_curves", fail)
    answer = fit(tmp_path, "--trainer.max_epochs=1")
    assert "curves.png could not be drawn: RuntimeError: no font" in answer.out
    assert results(tmp_path / "digits/1")["n"] == 360
    assert not list((tmp_path / "digits/1").glob("*curves*"))
