import io
import json

import pytest
from rich.console import Console

from tasks.results.runs_table import SELECTED_ON_TEST, find_groups, print_results
from tests.tasks.command import hyperseq


def run(root, group, number, accuracy=None, failed=False, selected_on="validation"):
    folder = root / group / str(number)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"seed_everything: {number}\n")
    if accuracy is not None:
        told = {"task": group, "parameters": 1234, "val_accuracy": 0.5, "accuracy": accuracy}
        told |= {"n": 360, "seconds": 61.2, "seed": number, "selected_on": selected_on}
        (folder / "results.json").write_text(json.dumps(told))
    if failed:
        (folder / "error.txt").touch()
    return folder


def printed(*paths, every_run=False):
    out = io.StringIO()
    print_results(Console(file=out, width=200), find_groups(list(paths)), every_run=every_run)
    return out.getvalue()


def rows(*paths, every_run=False):
    lines = printed(*paths, every_run=every_run).splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_the_newest_run_of_each_group_is_shown(tmp_path):
    run(tmp_path, "digits", 9, accuracy=0.9)
    run(tmp_path, "digits", 10, accuracy=0.98)
    run(tmp_path, "digits2d", 1, accuracy=0.99)
    told = rows(tmp_path)
    assert [row[0] for row in told] == ["digits", "digits2d"]
    assert told[0][2:] == ["1,234", "50.00%", "98.00%", "360", "61", "10"]
    assert told == rows(tmp_path / "digits", tmp_path / "digits2d")


def test_a_run_folder_stands_for_itself(tmp_path):
    run(tmp_path, "digits", 2, accuracy=0.5)
    assert rows(run(tmp_path, "digits", 1, accuracy=0.9))[0][4] == "90.00%"


def test_all_runs_are_shown_with_mean_spread_and_failures(tmp_path):
    for number, accuracy in enumerate((0.97, 0.98, 0.99), start=1):
        run(tmp_path, "digits", number, accuracy=accuracy)
    run(tmp_path, "digits", 4, failed=True)
    run(tmp_path, "digits", 5)
    told = rows(tmp_path, every_run=True)
    assert [row[4] for row in told] == ["97.00%", "98.00%", "99.00%", "failed", "incomplete", "98.00 ± 1.00%"]
    assert [row[7] for row in told] == ["1", "2", "3", "4", "5", "1, 2, 3, 4 failed, 5 incomplete"]
    assert told[-1][1:4] == ["mean of 3", "1,234", "50.00 ± 0.00%"]


def test_a_group_without_a_finished_run_has_no_mean(tmp_path):
    run(tmp_path, "digits", 1, failed=True)
    assert rows(tmp_path, every_run=True)[-1][2:] == ["", "", "failed", "", "", "1 failed"]


def test_an_epoch_that_was_chosen_on_the_test_split_is_marked(tmp_path):
    run(tmp_path, "old", 1, accuracy=0.97, selected_on="test")
    run(tmp_path, "old", 2, accuracy=0.99)
    told = rows(tmp_path, every_run=True)
    assert [row[4] for row in told] == ["97.00%*", "99.00%", "98.00 ± 1.41%*"]
    assert SELECTED_ON_TEST in printed(tmp_path, every_run=True) and SELECTED_ON_TEST not in printed(tmp_path)


def test_a_folder_without_runs_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="PATH must be a run folder or a folder of runs, got "):
        find_groups([tmp_path])
    answer = hyperseq("results", tmp_path)
    assert answer.code == 2 and answer.err.count("\n") == 1


def test_the_command_shows_a_finished_run(trained):
    answer = hyperseq("results", trained.folder.parent)
    assert answer.code == 0 and "digits" in answer.out and "360" in answer.out
