import json
import shutil
from pathlib import Path

import pytest
import yaml

from tasks.results.publish import publish, read_records
from tasks.results.readme_table import BEGIN, END, readme_with_table
from tests.tasks.command import ROOT, fit, hyperseq

SMALL = ("--trainer.max_epochs=1", "--trainer.limit_train_batches=1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run, and one made of it as if another seed had given another accuracy."""
    root = tmp_path_factory.mktemp("runs")
    fit(root, *SMALL)
    first, second = (root / "digits" / number for number in "12")
    shutil.copytree(first, second)
    config = (first / "config.yaml").read_text()
    (second / "config.yaml").write_text(config.replace("seed_everything: 0", "seed_everything: 1"))
    told = json.loads((first / "results.json").read_text())
    (second / "results.json").write_text(json.dumps(told | {"seed": 1, "accuracy": told["accuracy"] + 0.1}))
    return [first, second]


@pytest.fixture
def checkout(tmp_path):
    """A checkout without results."""
    (tmp_path / "configs/images").mkdir(parents=True)
    shutil.copy(ROOT / "configs/images/digits.yaml", tmp_path / "configs/images")
    (tmp_path / "README.md").write_text(f"# Title\n\n{BEGIN}\n{END}\n\nEnd.\n")
    return tmp_path


def changed_copy(run, folder, without=(), **changes):
    """Return a copy of a run with other results, or without some."""
    copy = folder / "copies" / run.name
    shutil.copytree(run, copy)
    told = json.loads((copy / "results.json").read_text()) | changes
    (copy / "results.json").write_text(json.dumps({name: value for name, value in told.items() if name not in without}))
    return copy


def rows(checkout):
    lines = [line for line in (checkout / "README.md").read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def files(checkout):
    return {str(path.relative_to(checkout)): path.read_bytes() for path in checkout.rglob("*") if path.is_file()}


def refused(checkout, *paths):
    """Publish what is refused; nothing may change."""
    before = files(checkout)
    with pytest.raises(ValueError) as caught:
        publish(list(paths), checkout=checkout)
    assert files(checkout) == before
    return str(caught.value)


# The README of this project.


def test_the_table_of_the_readme_is_what_the_published_results_say():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme_with_table(readme, read_records(ROOT)) == readme, "call hyperseq publish to write the table anew"


# Publishing.


def test_a_run_becomes_a_file_named_after_task_and_seed_and_a_row(checkout, runs):
    written = publish(runs, checkout=checkout)
    names = ["results/digits-seed0.json", "results/digits-seed1.json", "README.md"]
    assert [str(path.relative_to(checkout)) for path in written] == names
    told = [json.loads((run / "results.json").read_text()) for run in runs]
    record = json.loads((checkout / names[0]).read_text())
    for name in ("accuracy", "n", "parameters", "seconds", "device", "versions", "commit", "dirty", "split"):
        assert record[name] == told[0][name]
    assert (record["config"], record["seed"], record["selected_on"]) == ("configs/images/digits.yaml", 0, "validation")
    ((task, config, parameters, accuracy, n, seeds, _, device, commit),) = rows(checkout)
    assert task == "digits (1x64)" and config.startswith("[configs/images/digits.yaml](configs/images/digits.yaml), ")
    mean = 50 * (told[0]["accuracy"] + told[1]["accuracy"])
    assert accuracy.startswith(f"{mean:.2f} ± ") and (n, seeds) == ("360", "0, 1")
    assert parameters == f"{told[0]['parameters']:,}" and device.endswith(", 1 thread")
    assert commit.split()[0] == (told[0]["commit"] or "unknown")[:7]


def test_options_that_differ_from_the_config_are_told_and_paths_and_seeds_are_not(checkout, runs):
    publish(runs[:1], checkout=checkout)
    record = read_records(checkout)[0]
    assert record["changed"] == {
        "trainer.max_epochs": 1,
        "trainer.limit_train_batches": 1,
        "data.init_args.batch_size": 128,
        "model.backbone.init_args.channels": [4, 8],
        "model.backbone.init_args.slow_hidden_channels": 4,
    }
    assert "`trainer.max_epochs` 1," in rows(checkout)[0][1]
    assert str(runs[0].parents[1]) not in (checkout / "results/digits-seed0.json").read_text()
    assert not {"run.root", "seed_everything"} & set(record["options"])


def test_paths_of_a_machine_are_left_out_wherever_they_stand(checkout, runs):
    copy = changed_copy(runs[0], checkout, resumed=True)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["data"]["init_args"] |= {"root": "data", "cache": "/home/somebody/cache"}
    config["trainer"]["callbacks"] = [{"class_path": "a.B", "init_args": {"folder": "~/x"}}]
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    publish([copy], checkout=checkout)
    text = (checkout / "results/digits-seed0.json").read_text()
    assert "somebody" not in text and "~" not in text and "root" not in text
    assert json.loads(text)["resumed"] is True


def test_seeds_may_be_published_one_after_the_other(checkout, runs):
    publish(runs[:1], checkout=checkout)
    assert rows(checkout)[0][5] == "0"
    publish(runs[1:], checkout=checkout)
    assert rows(checkout)[0][5] == "0, 1"


def test_a_failed_run_counts(checkout, runs):
    failed = checkout / "failed"
    failed.mkdir()
    shutil.copy(runs[1] / "config.yaml", failed)
    error = 'Traceback:\n  File "/home/a.py"\ntasks.learning.classifier.NonFiniteLossError: the loss is nan\nat /home\n'
    (failed / "error.txt").write_text(error)
    publish([runs[0], failed], checkout=checkout)
    assert read_records(checkout)[1]["failed"] == "NonFiniteLossError"
    assert rows(checkout)[0][5] == "0, 1 failed" and "±" not in rows(checkout)[0][3]
    (checkout / "results/digits-seed0.json").unlink()
    publish([], checkout=checkout)
    assert rows(checkout)[0][3] == "failed"


def test_an_epoch_that_was_chosen_on_the_test_split_is_marked(checkout, runs):
    publish([runs[0]], checkout=checkout)
    assert "chosen on the test split" not in (checkout / "README.md").read_text()
    publish([changed_copy(runs[1], checkout, selected_on="test")], checkout=checkout)
    assert rows(checkout)[0][3].endswith("%\\*")
    assert "\\* The epoch was chosen on the test split" in (checkout / "README.md").read_text()


@pytest.mark.parametrize(("dirty", "told"), [(True, "abcdef0 and changes"), (False, "abcdef0")])
def test_code_that_differs_from_its_commit_is_told(checkout, runs, dirty, told):
    publish([changed_copy(runs[0], checkout, commit="abcdef0123", dirty=dirty)], checkout=checkout)
    assert rows(checkout)[0][8] == told


# What is refused, and changes nothing.


def test_an_unfinished_run_is_refused(checkout, runs):
    unfinished = checkout / "unfinished"
    unfinished.mkdir()
    shutil.copy(runs[1] / "config.yaml", unfinished)
    message = refused(checkout, runs[0], unfinished)
    assert message == f"RUN must be finished or failed, got {unfinished}, which is neither"


def test_a_folder_that_is_no_run_is_refused(checkout):
    assert refused(checkout, checkout) == f"RUN must be a run folder, got {checkout} without config.yaml"


def test_a_published_seed_is_not_overwritten(checkout, runs):
    publish(runs[:1], checkout=checkout)
    wanted = f"digits-seed0.json must be deleted to publish {runs[0]} in its place, got one that is published"
    assert refused(checkout, runs[0]) == wanted
    assert refused(checkout, runs[1], runs[1]).startswith("digits-seed1.json must be deleted")


def test_runs_with_other_options_are_no_seeds_of_one_task(checkout, runs):
    copy = changed_copy(runs[1], checkout)
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("max_epochs: 1", "max_epochs: 3"))
    message = "trainer.max_epochs must be the same in all published runs of digits, got 1 with seed 0 and 3 with seed 1"
    assert refused(checkout, runs[0], copy) == message


def test_a_run_of_no_config_is_refused(checkout, runs):
    copy = changed_copy(runs[0], checkout)
    (copy / "config.yaml").write_text((copy / "config.yaml").read_text().replace("name: digits", "name: other"))
    assert refused(checkout, copy) == "run.name must be that of one file in configs, got 'other', the name of 0"


def test_a_run_that_started_from_other_weights_is_refused(checkout, runs):
    copy = changed_copy(runs[0], checkout)
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("start_from: null", "start_from: /runs/a/1/best.ckpt"))
    assert refused(checkout, copy) == (
        f"run.start_from must be null in {copy}, since a config alone must repeat what is published, got "
        "/runs/a/1/best.ckpt"
    )


def test_results_of_an_earlier_version_are_refused(checkout, runs):
    copy = changed_copy(runs[0], checkout, without=("dirty", "input_shape"))
    assert "must contain input_shape, dirty, got results of an earlier version" in refused(checkout, copy)


@pytest.mark.parametrize("readme", [f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_readme_without_a_place_for_the_table_is_refused(checkout, runs, readme):
    (checkout / "README.md").write_text(readme)
    assert refused(checkout, runs[0]) == f"README.md must hold one line {BEGIN} and later one line {END}"


def test_the_command_works_in_a_checkout_only(checkout, runs, monkeypatch):
    monkeypatch.chdir(checkout)
    answer = hyperseq("publish", runs[0])
    assert (answer.code, answer.err) == (0, "") and answer.out.splitlines()[0].endswith("results/digits-seed0.json")
    (checkout / "README.md").unlink()
    answer = hyperseq("publish")
    message = f"publish must be called in the root of a checkout, got {Path.cwd()} without README.md"
    assert (answer.code, answer.err) == (2, f"hyperseq: error: {message}\n")


# The table.


def test_a_changed_result_changes_the_table_and_nothing_else_of_the_readme(checkout, runs):
    before = (checkout / "README.md").read_text()
    publish(runs, checkout=checkout)
    readme, records = (checkout / "README.md").read_text(), read_records(checkout)
    assert readme_with_table(readme, records) == readme
    records[0]["accuracy"] += 0.01
    assert readme_with_table(readme, records) != readme
    assert readme_with_table(readme, []) == before


def test_without_results_there_is_no_table(checkout):
    before = files(checkout)
    publish([], checkout=checkout)
    assert files(checkout) == before
