import csv
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from sklearn.metrics import precision_recall_fscore_support

import hyperseq as hyperseq_package
from tasks.cli import NEEDED
from tasks.extras import install_command
from tasks.shipped import resolve_config_names
from tasks.short_help import OPTIONS
from tests.tasks.command import DIGITS, ROOT, TINY, fit, hyperseq
from tests.tasks.speech.recordings import write_folder

pytestmark = pytest.mark.usefixtures("blank_pictures")

ARTEFACTS = {
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "class_scores.csv",
    "config.yaml",
    "confusion_matrix.csv",
    "confusion_matrix.png",
    "curves.png",
    "hyper_kernels.png",
    "metrics.csv",
    "mistakes.csv",
    "predictions.csv",
    "results.json",
}


def files(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def contents(folder):
    return {name: path.read_bytes() for name, path in files(folder).items()}


def results(folder):
    return json.loads((folder / "results.json").read_text())


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def changed_config(tmp_path, change):
    config = yaml.safe_load(Path(DIGITS).read_text())
    change(config)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def one_line(answer):
    assert answer.err.count("\n") == 1, answer.err
    return answer.err.strip()


# What a training leaves behind.


def test_fit_leaves_every_artefact_and_nothing_else(trained):
    assert set(files(trained.folder)) == ARTEFACTS


def test_results_say_what_the_number_depends_on(trained):
    told = results(trained.folder)
    assert told["accuracy"] == told["correct"] / told["n"] and told["n"] == 360
    assert told["split"] == {"seed": 42, "train": 1257, "val": 180, "test": 360}
    assert told["versions"]["torch"] == torch.__version__
    for name in ("parameters", "seconds", "seed", "commit", "device", "val_accuracy", "torch_threads", "config"):
        assert name in told


def test_predictions_and_confusion_matrix_agree_with_the_accuracy(trained):
    told = results(trained.folder)
    rows = table(trained.folder / "predictions.csv")
    assert list(rows[0]) == ["index", "true", "predicted", "probability"]
    assert len({row["index"] for row in rows}) == told["n"]
    assert sum(row["true"] == row["predicted"] for row in rows) == told["correct"]
    matrix = [row[1:] for row in csv.reader((trained.folder / "confusion_matrix.csv").read_text().splitlines())][1:]
    assert sum(int(matrix[i][i]) for i in range(10)) == told["correct"]
    for true, row in enumerate(matrix):
        assert sum(map(int, row)) == sum(line["true"] == str(true) for line in rows)
    mistakes = table(trained.folder / "mistakes.csv")
    wrong = [row for row in rows if row["true"] != row["predicted"]]
    assert sorted(mistakes, key=str) == sorted(wrong, key=str)
    certain = [float(row["probability"]) for row in mistakes]
    assert certain == sorted(certain, reverse=True)


def test_scores_of_the_classes_are_those_of_scikit_learn(trained):
    rows = table(trained.folder / "predictions.csv")
    truth, answers = ([int(row[name]) for row in rows] for name in ("true", "predicted"))
    told = table(trained.folder / "class_scores.csv")
    wanted = np.array(precision_recall_fscore_support(truth, answers, labels=range(10), zero_division=0))
    found = np.array([[float(row[name]) for name in ("precision", "recall", "f1", "n")] for row in told])
    assert [row["class"] for row in told] == [*map(str, range(10)), "(mean)"]
    np.testing.assert_allclose(found[:-1], wanted.T, atol=5.1e-5)
    np.testing.assert_allclose(found[-1, :3], wanted[:3].mean(axis=1), atol=5.1e-5)
    assert found[-1, 3] == len(rows)


def test_metrics_hold_one_row_an_epoch(trained):
    rows = table(trained.folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(all(row.values()) for row in rows)


def test_checkpoints_hold_plain_values_only(trained):
    for name in ("best", "last"):
        checkpoint = torch.load(trained.folder / f"checkpoints/{name}.ckpt", weights_only=True)
        assert checkpoint["state_dict"]


def test_best_is_the_highest_accuracy_and_of_equal_ones_the_lowest_cross_entropy(tmp_path):
    fit(tmp_path, "--trainer.max_epochs=4")
    rows = table(tmp_path / "digits/1/metrics.csv")
    best = max(rows, key=lambda row: (float(row["val/accuracy"]), -float(row["val/cross_entropy"])))
    assert results(tmp_path / "digits/1")["best_epoch"] == int(best["epoch"])


# What the user sees.


def test_the_plan_comes_before_the_first_step_and_is_short(trained):
    plan = trained.answer.out.split("epoch 1/2")[0]
    assert len(plan.splitlines()) <= 25
    for told in ("1,257 train, 180 val, 360 test", "classes", "slow networks", "precision 32-true", "batch size"):
        assert told in plan
    assert str(trained.folder) in plan and DIGITS in plan
    assert re.search(r"steps +4\b", plan)


def test_without_a_terminal_there_is_one_plain_line_an_epoch(trained):
    assert "\r" not in trained.answer.out and "\x1b" not in trained.answer.out
    assert re.findall(r"^epoch (\d)/2  loss \d", trained.answer.out, flags=re.MULTILINE) == ["1", "2"]


def test_the_end_names_the_score_every_file_and_the_next_commands(trained):
    end = trained.answer.out.split("Best weights")[1]
    told = results(trained.folder)
    assert re.search(rf"test +│ +{100 * told['accuracy']:.2f}% │ +{told['correct']} │ 360 │ [\d.]+% to [\d.]+%", end)
    for path in files(trained.folder).values():
        assert str(path) in end
    assert f"hyperseq test --config {trained.folder / 'config.yaml'}" in end
    assert f"hyperseq predict --run {trained.folder} FILE" in end


def test_a_clean_run_says_nothing_else(trained):
    assert trained.answer.err == ""
    for chatter in ("GPU available", "Seed set", "Tip", "Trainer.fit", "Warning"):
        assert chatter not in trained.answer.out


def test_a_fresh_process_warns_of_nothing_and_leaves_nothing_elsewhere(tmp_path):
    words = [sys.executable, "-W", "error", "-m", "tasks.cli", "fit", "--config", DIGITS, *TINY]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert set(files(tmp_path / "runs/digits/1")) == ARTEFACTS


# The saved config.


def test_test_on_the_saved_config_reproduces_the_accuracy(trained):
    before = contents(trained.folder)
    answer = hyperseq("test", "--config", trained.folder / "config.yaml")
    told = results(trained.folder)
    assert answer.code == 0 and answer.err == ""
    assert re.search(rf"│ +{told['correct']} │ {told['n']} │", answer.out)
    assert f"{told['cross_entropy']:.4f}" in answer.out
    assert contents(trained.folder) == before


def test_validate_on_the_saved_config_reproduces_the_validation_accuracy(trained):
    answer = hyperseq("validate", "--config", trained.folder / "config.yaml")
    assert answer.code == 0
    assert f"{100 * results(trained.folder)['val_accuracy']:.2f}%" in answer.out


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_is_named_or_given_as_a_path(trained, name):
    config = trained.folder / "config.yaml"
    named = hyperseq("test", "--config", config, "--ckpt_path", name)
    path = trained.folder / f"checkpoints/{name}.ckpt"
    assert named.code == 0 and f"weights: {path}" in named.out
    assert named.out == hyperseq("test", "--config", config, "--ckpt_path", path).out


@pytest.mark.parametrize("verb", ["validate", "test"])
@pytest.mark.parametrize("words", [(), ("--ckpt_path=last",), ("--ckpt_path=nowhere.ckpt",)])
def test_untrained_weights_are_never_evaluated(verb, words):
    answer = hyperseq(verb, "--config", DIGITS, *words)
    assert answer.code == 2 and answer.out == ""
    assert "ckpt_path must lead to a checkpoint" in one_line(answer)


def test_weights_of_another_model_are_refused(trained):
    answer = hyperseq("test", "--config", trained.folder / "config.yaml", "--model.backbone.channels=[4,4]")
    assert answer.code == 1
    assert "ckpt_path must hold the weights of the config's model" in one_line(answer)


def test_a_file_that_is_no_checkpoint_is_refused(trained, tmp_path):
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes((trained.folder / "checkpoints/best.ckpt").read_bytes()[:1000])
    answer = hyperseq("test", "--config", trained.folder / "config.yaml", "--ckpt_path", broken)
    assert answer.code == 2 and "ckpt_path must be a whole checkpoint" in one_line(answer)


# One run, one folder.


def test_a_second_run_never_overwrites_the_first_and_repeats_it_exactly(trained):
    before = contents(trained.folder)
    fit(trained.folder.parents[1])
    second = trained.folder.with_name("2")
    assert contents(trained.folder) == before
    for name in ("metrics.csv", "predictions.csv", "confusion_matrix.csv"):
        assert (second / name).read_bytes() == before[name]


def test_a_folder_name_may_hold_anything(tmp_path):
    root = tmp_path / "[bold] :smile: run"
    answer = fit(root, "--trainer.max_epochs=1")
    assert f"hyperseq test --config '{root / 'digits/1/config.yaml'}'" in answer.out
    assert hyperseq("test", "--config", root / "digits/1/config.yaml").code == 0


def test_another_seed_gives_another_training_on_the_same_split(trained, tmp_path):
    fit(tmp_path, "--seed_everything=1")
    other = tmp_path / "digits/1"
    assert (other / "metrics.csv").read_bytes() != (trained.folder / "metrics.csv").read_bytes()
    columns = [[row["index"] for row in table(folder / "predictions.csv")] for folder in (other, trained.folder)]
    assert columns[0] == columns[1]


RESUMABLE = ("--model.schedule=constant", "--model.warmup=0", "--model.backbone.dropout=0.2")


def test_a_resumed_training_equals_one_that_was_never_interrupted(tmp_path):
    fit(tmp_path / "whole", *RESUMABLE, "--trainer.max_epochs=4")
    fit(tmp_path / "halves", *RESUMABLE)
    run, whole = (tmp_path / name / "digits/1" for name in ("halves", "whole"))
    answer = hyperseq("fit", "--config", run / "config.yaml", "--ckpt_path=last", "--trainer.max_epochs=4")
    assert (answer.code, answer.err) == (0, "") and "resumed after 2" in answer.out
    assert [path.name for path in run.parent.iterdir()] == ["1"] and set(files(run)) == ARTEFACTS
    for name in ("metrics.csv", "predictions.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    weights = [torch.load(each / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for each in (run, whole)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert results(run)["resumed"] and not results(whole)["resumed"]
    assert results(run)["best_epoch"] == results(whole)["best_epoch"]
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 4
    assert hyperseq("test", "--config", run / "config.yaml").code == 0


def test_a_training_starts_from_the_weights_of_another_and_what_its_data_learnt(trained, tmp_path):
    start = tmp_path / "start.ckpt"
    start.write_bytes((trained.folder / "checkpoints/best.ckpt").read_bytes())
    # Steps too small to change a weight of float32; the statistics of other training rows would be others.
    words = ("--model.lr=1e-30", "--model.slow_lr=1e-30", "--model.weight_decay=0", "--data.split_seed=7")
    answer = fit(tmp_path, f"--run.start_from={start}", "--trainer.max_epochs=1", *words)
    run = tmp_path / "digits/1"
    told = " ".join(answer.out.split())
    assert f"start the weights of {start}, and what its data learnt" in told
    first, last = (torch.load(path, weights_only=True) for path in (start, run / "checkpoints/last.ckpt"))
    assert last["Digits"] == first["Digits"]
    weights = [name for name in first["state_dict"] if name.endswith("weight")]
    assert weights and all(torch.equal(first["state_dict"][name], last["state_dict"][name]) for name in weights)
    assert results(run)["config"]["run"]["start_from"] == str(start) and not results(run)["resumed"]
    # The run has its own weights from here on.
    start.unlink()
    answer = hyperseq("fit", "--config", run / "config.yaml", "--ckpt_path=last", "--run.start_from=null")
    assert f"run.start_from must be {start}, as in the run that goes on, {run}, got null" in one_line(answer)
    for words in (("test",), ("fit", "--ckpt_path=last", "--trainer.max_epochs=2")):
        assert hyperseq(words[0], "--config", run / "config.yaml", *words[1:]).code == 0


def test_weights_to_start_from_that_do_not_fit_leave_no_run(trained, tmp_path):
    best, text = trained.folder / "checkpoints/best.ckpt", tmp_path / "text.ckpt"
    text.write_text("weights\n")
    for path, words, told in (
        (best, ("--model.backbone.channels=[4,4]",), f"must hold the weights of the config's model, got {best}: size"),
        (text, (), f"must be a whole checkpoint, got {text}"),
        (tmp_path / "none.ckpt", (), f"must be the file of a checkpoint, got {tmp_path / 'none.ckpt'}"),
    ):
        options = ("--run.root", tmp_path / "runs", f"--run.start_from={path}", *words)
        answer = hyperseq("fit", "--config", DIGITS, *TINY, *options)
        assert answer.code in (1, 2) and f"run.start_from {told}" in one_line(answer)
    assert not (tmp_path / "runs").exists()


def test_a_resumed_training_keeps_the_best_weights_so_far_even_where_the_run_was_moved(tmp_path):
    fit(tmp_path, "--trainer.limit_train_batches=40", "--data.batch_size=32")
    before = results(tmp_path / "digits/1")
    run = (tmp_path / "digits/1").rename(tmp_path / "moved")
    words = ("--ckpt_path=last", "--trainer.max_epochs=3", "--model.lr=1e6", "--model.weight_decay=0")
    # Past its end, the schedule has the factor 1/250,000: this one step is taken with a rate of 4.
    answer = hyperseq("fit", "--config", run / "config.yaml", *words, "--trainer.limit_train_batches=1")
    assert (answer.code, answer.err) == (0, "")
    assert results(run)["epochs"] == 3
    assert results(run)["best_epoch"] == before["best_epoch"]
    assert results(run)["accuracy"] == before["accuracy"]


def test_a_resume_that_fails_before_its_first_step_takes_nothing_from_the_run(tmp_path):
    fit(tmp_path)
    run = tmp_path / "digits/1"
    before = contents(run)
    go_on = ("fit", "--config", run / "config.yaml", "--ckpt_path=last")
    for word, told in (
        ("--model.ema_decay=0.9", "ema_decay must be null to resume"),
        ("--model.optimizer=torch.optim.SGD", "optimizer must be AdamW to resume a training begun by it, got SGD"),
        ("--model.backbone.channels=[4,4]", "ckpt_path must hold the weights of the config's model"),
        ("--model.lr=-1", "lr must be positive, got -1"),
        ("--trainer.accelerator=gpu", "trainer must have options that Lightning takes"),
        ("--trainer.max_epochs=2", "trainer.max_epochs must be above 2 to go on: the run has finished, got 2"),
    ):
        answer = hyperseq(*go_on, "--trainer.max_epochs=3", word)
        assert answer.code in (1, 2) and told in one_line(answer)
    text = run / "checkpoints" / "text.ckpt"
    text.write_text("state_dict: weights\n" * 9)
    answer = hyperseq(*go_on[:-1], "--ckpt_path", text)
    assert answer.code == 2 and "ckpt_path must be a whole checkpoint" in one_line(answer)
    text.unlink()
    assert contents(run) == before


def test_a_resume_that_has_no_epoch_left_writes_the_results_anew(tmp_path):
    fit(tmp_path)
    run = tmp_path / "digits/1"
    before = results(run)
    (run / "results.json").unlink()
    assert hyperseq("fit", "--config", run / "config.yaml", "--ckpt_path=last").code == 0
    assert {**results(run), "resumed": False, "seconds": before["seconds"]} == before


def test_a_run_that_another_process_trains_is_left_alone(tmp_path):
    fit(tmp_path)
    run = tmp_path / "digits/1"
    before = contents(run)
    with FileLock(run / ".lock"):
        answer = hyperseq("fit", "--config", run, "--ckpt_path=last", "--trainer.max_epochs=3")
    assert answer.code == 2
    told = f"ckpt_path must lie in a run that no other process trains, got {run}"
    assert one_line(answer) == f"hyperseq: error: {told}"
    (run / ".lock").unlink()
    assert contents(run) == before


def test_a_run_goes_on_in_its_own_folder_alone(trained, tmp_path):
    last = trained.folder / "checkpoints/last.ckpt"
    answer = hyperseq("fit", "--config", trained.folder / "config.yaml", "--ckpt_path=last", "--run.root", tmp_path)
    assert answer.code == 2 and "run.root must be left out with ckpt_path: the run goes on in" in one_line(answer)
    # The config of the run would tell of a beginning that it did not have.
    words = ("--ckpt_path=last", "--trainer.max_epochs=3", f"--run.start_from={last}")
    answer = hyperseq("fit", "--config", trained.folder / "config.yaml", *words)
    told = f"run.start_from must be null, as in the run that goes on, {trained.folder}, got {last}"
    assert answer.code == 2 and told in one_line(answer)
    (tmp_path / "last.ckpt").write_bytes(last.read_bytes())
    answer = hyperseq("fit", "--config", trained.folder / "config.yaml", "--ckpt_path", tmp_path / "last.ckpt")
    assert answer.code == 2 and "ckpt_path must lie in a run folder, <run>/checkpoints/last.ckpt" in one_line(answer)


def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_resume(tmp_path):
    press = {"class_path": "tests.tasks.interruptions.PressControlC", "init_args": {"epoch": 1}}
    config = changed_config(tmp_path, lambda config: config["trainer"].update(callbacks=[press]))
    answer = hyperseq("fit", "--config", config, "--run.root", tmp_path, *TINY)
    run = tmp_path / "digits/1"
    assert answer.code == 130
    command = f"hyperseq fit --config {run / 'config.yaml'} --ckpt_path {run / 'checkpoints/last.ckpt'}"
    assert command in answer.out
    resumed = hyperseq(*command.split()[1:], "--trainer.callbacks=null")
    assert resumed.code == 0, resumed.err
    assert results(run)["epochs"] == 2


def test_ctrl_c_in_the_first_epoch_promises_nothing(tmp_path):
    press = {"class_path": "tests.tasks.interruptions.PressControlC", "init_args": {"epoch": 0}}
    config = changed_config(tmp_path, lambda config: config["trainer"].update(callbacks=[press]))
    answer = hyperseq("fit", "--config", config, "--run.root", tmp_path, *TINY)
    assert answer.code == 130 and "nothing to resume from" in answer.out


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    words = ("--run.root", tmp_path, "--model.lr=1e30", "--model.schedule=constant", "--model.warmup=0")
    answer = hyperseq("fit", "--config", DIGITS, *TINY, *words)
    assert answer.code == 1
    assert "the loss is nan at step 2 (epoch 1)" in one_line(answer)
    assert "NonFiniteLossError" in (tmp_path / "digits/1/error.txt").read_text()
    assert not (tmp_path / "digits/1/results.json").exists()


# What is typed, and what is not.


@pytest.mark.parametrize(
    ("words", "key", "nearest"),
    [
        (("--trainer.max_epoch=3",), "trainer.max_epoch", "trainer.max_epochs"),
        (("--model.lrr", "1"), "model.lrr", "model.lr"),
        (("--max_epochs", "3"), "max_epochs", "trainer.max_epochs"),
        (("--model.backbone.chanels=[4]",), "chanels", "channels"),
        (("--model.backbone.init_args.omega=3",), "omega", "omega_0"),
        (("--data.batchsize=3",), "batchsize", "batch_size"),
        (("--runs.root=x",), "runs.root", "run.root"),
        (("--epochs", "3"), "epochs", "trainer.max_epochs"),
        (("--learning_rate", "3"), "learning_rate", "model.lr"),
        (("--model.learning-rate=3",), "model.learning-rate", "model.lr"),
        (("--batch_size=3",), "batch_size", "data.batch_size"),
        (("--seed", "3"), "seed", "seed_everything"),
    ],
)
def test_an_unknown_flag_is_one_line_with_the_nearest_key(words, key, nearest):
    answer = hyperseq("fit", "--config", DIGITS, *words)
    assert answer.code == 2 and answer.out == ""
    assert one_line(answer) == f"hyperseq: error: unknown key '{key}'; did you mean '{nearest}'?"


@pytest.mark.parametrize(
    ("group", "key", "nearest"),
    [
        ((), "seed_everythin", "seed_everything"),
        (("trainer",), "max_epoch", "trainer.max_epochs"),
        (("model",), "label_smooting", "model.label_smoothing"),
        (("model", "backbone", "init_args"), "omga_0", "omega_0"),
        (("data", "init_args"), "batchsize", "batch_size"),
    ],
)
def test_an_unknown_key_in_a_file_is_one_line_with_the_nearest_key(tmp_path, group, key, nearest):
    def add(config):
        for name in group:
            config = config[name]
        config[key] = 1

    answer = hyperseq("fit", "--config", changed_config(tmp_path, add))
    assert answer.code == 2 and answer.out == ""
    line = one_line(answer)
    assert key in line and line.endswith(f"did you mean '{nearest}'?")


def test_a_class_that_does_not_exist_is_one_line(tmp_path):
    config = changed_config(tmp_path, lambda c: c["model"]["backbone"].update(class_path="hyperseq.Terminatr"))
    answer = hyperseq("fit", "--config", config)
    assert answer.code == 2
    assert "model.backbone must be an import path" in one_line(answer) and "no attribute 'Terminatr'" in answer.err


@pytest.mark.parametrize("words", [("fti",), ("fit",), ("fit", "--config", "nowhere.yaml"), ("fit", "--model.lr=fast")])
def test_wrong_calls_are_one_line_and_exit_with_2(words):
    answer = hyperseq(*words)
    assert answer.code == 2 and answer.out == ""
    assert one_line(answer).startswith("hyperseq: error: ")


def test_1e_3_is_a_float_from_flag_and_from_file(tmp_path):
    config = tmp_path / "float.yaml"
    config.write_text(Path(DIGITS).read_text().replace("lr: 5e-3", "lr: 1e-3"))
    for words in (
        ("--config", config),
        ("--config", DIGITS, "--model.lr=1e-3"),
        ("--config", DIGITS, "--model.lr=3e-4"),
    ):
        answer = hyperseq("fit", *words, "--print_config")
        wanted = 3e-4 if "3e-4" in str(words[-1]) else 1e-3
        assert answer.code == 0 and yaml.safe_load(answer.out)["model"]["lr"] == wanted


def test_a_flag_beats_the_config_and_the_checkpoint(trained, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / "copy")
    words = ("--config", run / "config.yaml", "--ckpt_path=last", "--model.lr=0.5", "--trainer.max_epochs=3")
    answer = hyperseq("fit", *words)
    assert answer.code == 0 and "(lr 0.5," in answer.out


@pytest.mark.parametrize(("name", "size"), [("digits", (64,)), ("digits2d", (8, 8))])
def test_sizes_and_counts_come_from_the_data(tmp_path, name, size):
    config = ROOT / f"configs/images/{name}.yaml"
    fit(tmp_path, "--trainer.max_epochs=1", config=config)
    typed = yaml.safe_load((tmp_path / name / "1/config.yaml").read_text())
    assert not {"size", "in_channels", "num_spatial_dims"} & set(typed["model"]["backbone"]["init_args"])
    assert "num_classes" not in typed["model"]
    weights = torch.load(tmp_path / name / "1/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert weights["head.linear.weight"].shape == (10, 8)


@pytest.mark.parametrize(
    "flag", ["--model.num_classes=3", "--model.backbone.size=3", "--data.seed=3", "--data.init_args.seed=3"]
)
def test_what_comes_by_link_cannot_be_typed_as_a_flag(flag):
    answer = hyperseq("fit", "--config", DIGITS, flag)
    assert answer.code == 2
    assert flag.split("=")[0].split(".")[-1] in one_line(answer)


@pytest.mark.parametrize(("group", "key"), [("data", "seed"), ("backbone", "size"), ("backbone", "in_channels")])
def test_what_comes_by_link_cannot_be_typed_in_a_file(tmp_path, group, key):
    def add(config):
        (config["data"] if group == "data" else config["model"]["backbone"])["init_args"][key] = 3

    answer = hyperseq("fit", "--config", changed_config(tmp_path, add))
    assert answer.code == 2
    assert f".{key} must come from " in one_line(answer)


def test_what_would_be_wrong_in_silence_is_refused():
    answer = hyperseq("fit", "--config", DIGITS, "--trainer.fast_dev_run=true")
    assert answer.code == 2 and "must be" in one_line(answer)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [("hyperseq.optim.Kar2", "cosine"), ("hyperseq.optim.Kar3", "constant"), ("torch.optim.SGD", "one_cycle")],
)
def test_any_optimizer_trains_by_its_import_path_and_is_found_again(tmp_path, optimizer, schedule):
    words = (f"--model.optimizer={optimizer}", f"--model.schedule={schedule}", "--model.lr=1e-4")
    assert f"{optimizer.split('.')[-1]}, {schedule}" in fit(tmp_path, *words, "--trainer.max_epochs=1").out
    assert hyperseq("test", "--config", tmp_path / "digits/1/config.yaml").code == 0


def test_an_optimizer_takes_its_own_options_and_none_of_the_default(tmp_path):
    words = ("--model.optimizer=hyperseq.optim.Kar3", "--model.lr=1e-4", "--trainer.max_epochs=1")
    fit(tmp_path, *words)
    fit(tmp_path, *words, "--model.optimizer.betas=[0.8,0.9]")
    configs = [yaml.safe_load((tmp_path / f"digits/{number}/config.yaml").read_text()) for number in (1, 2)]
    assert [config["model"]["optimizer"]["init_args"]["betas"] for config in configs] == [[0.5, 0.95], [0.8, 0.9]]


SPEECH_FOLDER = ROOT / "configs/speech/folder.yaml"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data.augmentation.speed=2"], "speed must lie in [0, 1), got 2.0"),
        (["--data.augmentation.snr=[1,0]", "--data.augmentation.noise=."], "snr must "),
        (["--model.backbone.stem.num_mels=0"], "num_mels must be at least 1, got 0"),
    ],
)
def test_an_option_that_a_nested_part_refuses_is_told_in_one_line(tmp_path, words, told):
    write_folder(tmp_path / "recordings")
    answer = hyperseq("fit", "--config", SPEECH_FOLDER, f"--data.root={tmp_path / 'recordings'}",
                      f"--data.cache={tmp_path / 'decoded'}", "--run.root", tmp_path, *words)  # fmt: skip
    assert answer.code == 1 and one_line(answer).startswith(f"hyperseq: error: {told}")


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--model.optimizer.lr=0.1", "unknown key 'lr'"),
        ("--model.optimizer.weight_decay=0.1", "weight_decay must be given as model.weight_decay"),
    ],
)
def test_learning_rate_and_decay_stand_in_one_place(flag, told):
    answer = hyperseq("fit", "--config", DIGITS, "--model.optimizer=torch.optim.AdamW", flag)
    assert answer.code == 2 and told in one_line(answer)


def test_a_decay_that_the_optimizer_does_not_have_is_refused(tmp_path):
    words = ("--run.root", tmp_path, "--model.optimizer=hyperseq.optim.Kar3", "--model.weight_decay=0.1")
    answer = hyperseq("fit", "--config", DIGITS, *TINY, *words)
    assert answer.code == 1
    assert "weight_decay must be 0 with Kar3, which has none, got 0.1" in one_line(answer)


# Without a training.


def test_help_is_short_and_names_every_verb():
    answer = hyperseq("--help")
    assert answer.code == 0 and hyperseq().code == 2
    assert set(re.findall(r"^  (\w+)  ", answer.out, flags=re.MULTILINE)) == set(NEEDED)


def test_a_wrong_verb_is_answered_with_all_verbs():
    answer = hyperseq("fti")
    assert (answer.code, one_line(answer)) == (
        2, f"hyperseq: error: VERB must be one of {', '.join(NEEDED)}, got 'fti'"
    )  # fmt: skip


def test_the_version_is_told():
    answer = hyperseq("--version")
    assert answer.code == 0 and answer.out.startswith(f"hyperseq {hyperseq_package.__version__}")


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_the_help_of_a_verb_fits_a_screen_and_its_keys_are_options(verb):
    answer = hyperseq(verb, "--help")
    assert answer.code == 0 and len(answer.out.splitlines()) <= 50
    assert max(map(len, answer.out.splitlines())) <= 120
    assert f"hyperseq {verb} --help-all" in answer.out


def test_every_key_of_the_short_help_is_an_option_and_the_long_help_has_all():
    everything = hyperseq("fit", "--help-all")
    assert everything.code == 0 and "--trainer.val_check_interval" in everything.out
    for key in re.findall(r"--([\w.]+)", OPTIONS.replace("--help-all", "")):
        group = re.sub(r"^(data|model\.backbone)\..*", r"\1", key)
        assert f"--{group} " in everything.out or f"--{group}.help" in everything.out or f"[--{group}" in everything.out


@pytest.mark.parametrize(
    ("name", "hint"),
    [("images/digit", "did you mean images/digits?"), ("nowhere.yaml", "hyperseq list names the shipped ones")],
)
def test_a_config_that_is_not_there_is_named_with_the_nearest_one(name, hint):
    answer = hyperseq("fit", "--config", name)
    wanted = f"config must be a file, a run folder or the name of a shipped config, got {name!r}; {hint}"
    assert (answer.code, one_line(answer)) == (2, f"hyperseq: error: {wanted}")


@pytest.mark.parametrize("config", ["cfg.yaml", "images/digits"])
def test_a_config_without_its_flag_is_told_where_it_belongs(config):
    answer = hyperseq("fit", config)
    wanted = f"--config must stand before a config, got {config!r}: hyperseq fit --config {config}"
    assert (answer.code, one_line(answer)) == (2, f"hyperseq: error: {wanted}")


def test_list_has_one_line_for_each_data_set_config_and_network():
    out = hyperseq("list").out
    named = re.findall(r"^  (\S+)  +\S", out, flags=re.MULTILINE)
    configs = {f"{path.parent.name}/{path.stem}" for path in (ROOT / "configs").glob("*/*.yaml")}
    assert {"images.mnist", "Terminator", "ResidualStack"} | configs <= set(named)
    assert len(named) == len(out.splitlines()) - 3


def test_a_shipped_config_is_found_by_name_from_any_folder_and_a_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (
        ("--config", "images/digits"),
        ("--config=images/digits",),
        ("--config", "configs/images/digits.yaml"),
    ):
        answer = hyperseq("fit", *words, "--print_config")
        assert answer.code == 0 and yaml.safe_load(answer.out)["run"]["name"] == "digits"
    (tmp_path / "images").mkdir()
    (tmp_path / "images/digits").write_text("run: {name: mine}")
    assert resolve_config_names(["--config", "images/digits"]) == ["--config", "images/digits"]


def test_without_the_training_extra_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    answer = hyperseq("fit", "--config", DIGITS)
    assert answer.code == 2
    assert re.match("hyperseq: fit needs pytorch_lightning: pip install ", one_line(answer))


def test_the_hint_names_the_packages_of_the_extra_or_the_clone(monkeypatch):
    declared = ["torch>=2.6", 'rich>=1; extra == "train"', 'filelock; extra == "train"', 'ruff; extra == "dev"']
    monkeypatch.setattr("tasks.extras.requires", lambda name: declared)
    assert install_command("train") == "pip install 'rich>=1' filelock"

    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("tasks.extras.requires", not_installed)
    assert install_command("audio") == 'pip install -e ".[audio]" in the root of the clone'


def test_verbs_that_do_not_train_work_without_lightning(trained, tmp_path):
    shutil.copy(ROOT / "README.md", tmp_path)
    for folder in ("configs", "results"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    code = (
        "import sys\n"
        "for name in ('pytorch_lightning', 'lightning_fabric', 'jsonargparse', 'matplotlib', 'sklearn'):\n"
        "    sys.modules[name] = None\n"
        "from tasks.cli import main\n"
        "run = sys.argv[1]\n"
        "for words in ('--version', 'list', f'results {run}', 'fit --help', 'data --help', 'publish'):\n"
        "    assert main(words.split()) == 0, words\n"
    )
    words = [sys.executable, "-W", "error", "-c", code, str(trained.folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()


# Training through torch.compile.


def test_compiling_without_a_compiler_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.training.trainer_cli.which", lambda program: None)
    answer = hyperseq("fit", "--config", DIGITS, "--run.root", tmp_path, "--run.compile", "true")
    wanted = "run.compile must be false without a C++ compiler (g++ or clang++ on the path), got true"
    assert (answer.code, one_line(answer)) == (2, f"hyperseq: error: {wanted}")
    assert list(tmp_path.iterdir()) == []


# torch.compile itself does what torch deprecates
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_compiling_runs_the_backbone_as_a_program_and_changes_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.training.trainer_cli.which", lambda program: program)
    compile_module, compiled = torch.nn.Module.compile, []

    def without_the_compiler(module, **options):
        compiled.append((type(module).__name__, options))
        compile_module(module, backend="eager", **options)

    monkeypatch.setattr(torch.nn.Module, "compile", without_the_compiler)
    fit(tmp_path / "plain")
    assert compiled == []
    fit(tmp_path / "compiled", "--run.compile=true")
    assert compiled == [("Terminator", {})]
    torch.compiler.reset()
    plain, program = (results(tmp_path / folder / "digits/1") for folder in ("plain", "compiled"))
    assert plain["cross_entropy"] == pytest.approx(program["cross_entropy"], rel=1e-5)
