import csv
import io
import json

import pytest
import yaml
from rich.console import Console

from tasks.results.formats import format_results, print_results
from tasks.results.runs_table import find_groups, list_all, list_newest
from tasks.results.summary import SELECTED_ON_TEST
from tests.tasks.command import hyperseq


def run(
    root,
    group,
    number,
    accuracy=None,
    failed=False,
    selected_on="validation",
    resumed=False,
    start_from=None,
    **options,
):
    folder = root / group / str(number)
    folder.mkdir(parents=True)
    config = {"seed_everything": number, "run": {"root": str(root)}, "model": {"lr": 0.1} | options}
    if start_from is not None:
        config["run"]["start_from"] = start_from
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if accuracy is not None:
        told = {"task": group, "parameters": 1234, "val_accuracy": 0.5, "accuracy": accuracy, "config": config}
        told |= {"n": 360, "seconds": 61.2, "seed": number, "selected_on": selected_on, "resumed": resumed}
        (folder / "results.json").write_text(json.dumps(told))
    if failed:
        (folder / "error.txt").touch()
    return folder


def printed(*paths, every_run=False, width=200):
    out = io.StringIO()
    print_results(Console(file=out, width=width), find_groups(list(paths)), every_run=every_run)
    return out.getvalue()


def newest(*paths):
    return list_newest(find_groups(list(paths)))


def sections(*paths):
    return list_all(find_groups(list(paths)))


def column(rows, name):
    return [row[name] for row in rows]


def test_the_newest_run_of_each_name_is_shown(tmp_path):
    run(tmp_path, "digits", 9, accuracy=0.9)
    run(tmp_path, "digits", 10, accuracy=0.98)
    run(tmp_path, "digits2d", 1, accuracy=0.99)
    told = newest(tmp_path)
    assert column(told, "run") == [str(tmp_path / "digits/10"), str(tmp_path / "digits2d/1")]
    assert list(told[0].values())[1:] == ["1,234", "50.00%", "98.00%", "360", "61", "10"]
    assert told == newest(tmp_path / "digits", tmp_path / "digits2d")


def test_a_run_folder_stands_for_itself_and_a_run_named_twice_counts_once(tmp_path):
    run(tmp_path, "digits", 2, accuracy=0.5)
    one = run(tmp_path, "digits", 1, accuracy=0.9)
    assert column(newest(one), "test") == ["90.00%"]
    assert column(sections(one, one)[0], "run") == [str(one), "digits: mean of 1"]


def test_all_runs_are_shown_with_mean_spread_and_failures(tmp_path):
    for number, accuracy in enumerate((0.97, 0.98, 0.99), start=1):
        run(tmp_path, "digits", number, accuracy=accuracy)
    run(tmp_path, "digits", 4, failed=True)
    run(tmp_path, "digits", 5)
    (told,) = sections(tmp_path)
    assert column(told, "test") == ["97.00%", "98.00%", "99.00%", "failed", "incomplete", "98.00 ± 1.00%"]
    assert column(told, "seed") == ["1", "2", "3", "4", "5", "1, 2, 3, 4 failed, 5 incomplete"]
    assert list(told[-1].values())[:3] == ["digits: mean of 3", "1,234", "50.00 ± 0.00%"]


def test_a_name_without_a_finished_run_has_no_mean(tmp_path):
    run(tmp_path, "digits", 1, failed=True)
    assert list(sections(tmp_path)[0][-1].values())[1:] == ["", "", "failed", "", "", "1 failed"]


def test_runs_that_differ_in_more_than_the_seed_have_means_of_their_own_and_say_what_differs(tmp_path):
    run(tmp_path, "digits", 1, accuracy=0.97)
    run(tmp_path, "digits", 2, accuracy=0.5, lr=0.001)
    run(tmp_path, "digits", 3, accuracy=0.99)
    run(tmp_path, "digits", 4, accuracy=0.9, width=3)
    told = sections(tmp_path)
    assert [column(rows, "test")[-1] for rows in told] == ["98.00 ± 1.41%", "50.00%", "90.00%"]
    assert [rows[-1]["differs"] for rows in told] == [
        "model.lr 0.1, model.width none", "model.lr 0.001, model.width none", "model.lr 0.1, model.width 3"
    ]  # fmt: skip
    assert "digits/2: model.lr 0.001, model.width none" in printed(tmp_path, every_run=True).replace("\n", "")


def test_a_resumed_run_is_not_averaged_with_others(tmp_path):
    run(tmp_path, "digits", 1, accuracy=0.97)
    run(tmp_path, "digits", 2, accuracy=0.99, resumed=True)
    assert [rows[-1]["differs"] for rows in sections(tmp_path)] == ["resumed none", "resumed True"]


@pytest.mark.parametrize("path", ["runs/a/1/checkpoints/best.ckpt", "/runs/a/1/checkpoints/best.ckpt"])
def test_a_run_that_started_from_other_weights_is_not_averaged_with_others(tmp_path, path):
    run(tmp_path, "digits", 1, accuracy=0.97)
    run(tmp_path, "digits", 2, accuracy=0.99, start_from=path)
    assert [rows[-1]["differs"] for rows in sections(tmp_path)] == ["run.start_from none", f"run.start_from {path}"]


def test_in_80_columns_names_and_numbers_are_whole(tmp_path):
    for number in range(1, 4):
        run(tmp_path, "a_name_of_some_length", number, accuracy=0.97 + number / 100)
    lines = printed(tmp_path, every_run=True, width=80).splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in "".join(lines)
    assert "99.00 ± 1.00%" in "".join(lines)
    names = "".join(line.split("  ")[0].strip() for line in lines)
    assert str(tmp_path / "a_name_of_some_length/3").replace(" ", "") in names.replace(" ", "")


def test_markdown_and_latex_are_tables_of_the_same_cells(tmp_path):
    run(tmp_path, "a_b", 1, accuracy=0.97)
    run(tmp_path, "a_b", 2, accuracy=0.99)
    groups = find_groups([tmp_path])
    cells = [list(row.values()) for rows in list_all(groups) for row in rows]
    markdown = format_results(groups, every_run=True, to="markdown").splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown[2:]] == cells
    latex = format_results(groups, every_run=True, to="latex").splitlines()
    assert latex[0] == r"\begin{tabular}{lrrrrrr}" and latex[-1] == r"\end{tabular}"
    assert latex[4].endswith(r"a\_b/1 & 1,234 & 50.00\% & 97.00\% & 360 & 61 & 1 \\")
    assert r"98.00 $\pm$ 1.41\%" in latex[6]


def test_csv_and_json_hold_the_numbers_as_they_are(tmp_path):
    run(tmp_path, "digits", 1, accuracy=0.123456789)
    run(tmp_path, "digits", 2, failed=True, lr=0.2)
    groups = find_groups([tmp_path])
    described = json.loads(format_results(groups, every_run=True, to="json"))
    assert [group["differs"] for group in described] == [{"model.lr": 0.1}, {"model.lr": 0.2}]
    assert [(each["state"], each["test"]) for group in described for each in group["runs"]] == [
        ("finished", 0.123456789), ("failed", None)
    ]  # fmt: skip
    rows = list(csv.DictReader(format_results(groups, every_run=True, to="csv").splitlines()))
    assert [(row["test"], row["seed"], row["differs"]) for row in rows] == [
        ("0.123456789", "1", '{"model.lr": 0.1}'), ("", "2", '{"model.lr": 0.2}')
    ]  # fmt: skip


def test_an_epoch_that_was_chosen_on_the_test_split_is_marked(tmp_path):
    run(tmp_path, "old", 1, accuracy=0.97, selected_on="test")
    run(tmp_path, "old", 2, accuracy=0.99)
    assert column(sections(tmp_path)[0], "test") == ["97.00%*", "99.00%", "98.00 ± 1.41%*"]
    assert SELECTED_ON_TEST in printed(tmp_path, every_run=True) and SELECTED_ON_TEST not in printed(tmp_path)


def test_a_folder_without_runs_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="PATH must be a run folder or a folder of runs, got "):
        find_groups([tmp_path])
    answer = hyperseq("results", tmp_path)
    assert answer.code == 2 and answer.err.count("\n") == 1


def test_the_command_shows_a_finished_run(trained):
    answer = hyperseq("results", trained.folder.parent, "--format", "csv")
    assert answer.code == 0 and "digits" in answer.out and "360" in answer.out
