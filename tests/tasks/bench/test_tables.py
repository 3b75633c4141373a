import json
from functools import partial

import pytest

from tasks.bench.bench import choose_jobs, run_jobs
from tasks.bench.budgets import NOTES
from tasks.bench.published import MARKS, Published, read_published
from tasks.bench.tables import format_text, samples_per_second, tokens_per_second, write_tables

PUBLISHED = Published(
    columns=["listops", "pathx"],
    notes=["A caveat of 5%."],
    rows=[
        {"model": "A", "scores": {"listops": "60.50 ± 0.07", "pathx": "failed"}, "source": "paper of A"},
        {"model": "B", "scores": {"listops": "62"}, "source": "B", "marks": ["validation"], "average": "71.00"},
    ],
    average_over=["listops", "pathx"],
    failed_counts_as={"pathx": "50"},
)


def result(seed, accuracy, data="tasks.images.pathfinder.Pathfinder", **told):
    config = {"data": {"class_path": data, "init_args": {"batch_size": 10}}, "trainer": {"limit_train_batches": 1.0}}
    numbers = {"parameters": 1234, "n": 500, "seconds": 20.0, "steps": 100, "epochs": 2, "split": {"train": 495}}
    return {"seed": seed, "accuracy": accuracy, **numbers, "input_shape": [1, 32, 32], "config": config, **told}


RUNS = {
    "listops": [
        result(0, 0.41, data="tasks.lra.listops.ListOps", source="generated", memory={"process": 2**30}),
        result(1, 0.43, data="tasks.lra.listops.ListOps", source="generated", memory={"process": 3 * 2**29}),
        {"seed": 2, "state": "failed"},
    ],
    "pathx": [{"seed": 0, "state": "failed"}],
    "pathx_gru": [result(0, 0.5, selected_on="test", memory={"process": 2**30, "device": 2**28})],
}

MARKDOWN = """\
Budget full: the configs as they are.

Test accuracy in percent, mean ± standard deviation over the seeds. × stands for failed or not run.

| model | listops | pathx | average | source |
| --- | --- | --- | --- | --- |
| hyperseq | 42.00 ± 1.41 (generated) | × | 46.00 (generated) | these runs |
| gru | – | 50.00* | – | these runs |
| A | 60.50 ± 0.07 | × | 55.25 | paper of A |
| B (validation) | 62 | – | 71.00 | B |

(validation): measured on the validation split.

A caveat of 5%.

| task | test | n | seeds | data | parameters | seconds | samples/s | tokens/s | memory |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| listops | 42.00 ± 1.41% (generated) | 500 | 0, 1, 2 failed | generated | 1,234 | 20 | 50 |  | 1.50 GiB process |
| pathx | failed |  | 0 failed |  |  |  |  |  |  |
| pathx_gru | 50.00%* | 500 | 0 |  | 1,234 | 20 | 50 | 50,688 | 0.25 GiB accelerator |

Seconds are those of one training with its validations, on the machine that ran it. Memory is the peak.

(generated): the data are drawn by the project; such a score is no result on the published files.

\\* The epoch was chosen on the test split, as in some older papers: no estimate for new samples.
"""


def test_our_runs_stand_beside_published_ones_in_markdown():
    assert format_text(RUNS, PUBLISHED, note=NOTES["full"], latex=False) == MARKDOWN


def test_the_limits_of_generated_expressions_are_told():
    run = result(0, 0.5, source="generated")
    run["config"]["data"]["init_args"] |= {"shortest": 100, "longest": 400}
    text = format_text({"listops": [run]}, PUBLISHED, note=NOTES["full"], latex=False)
    assert "| generated, 100 to 400 symbols |" in text


def test_released_expressions_have_the_lengths_of_their_files():
    run = result(0, 0.5, source="released")
    run["config"]["data"]["init_args"] |= {"shortest": 501, "longest": 1999}
    text = format_text({"listops": [run]}, PUBLISHED, note="", latex=False)
    assert "| released |" in text and "501" not in text


def test_latex_holds_the_same_cells():
    text = format_text(RUNS, PUBLISHED, note=NOTES["full"], latex=True)
    assert r"hyperseq & 42.00 $\pm$ 1.41 (generated) & $\times$ & 46.00 (generated) & these runs \\" in text
    assert r"B (validation) & 62 & -- & 71.00 & B \\" in text
    assert r"A caveat of 5\%." in text


def test_a_run_that_is_open_has_not_failed():
    text = format_text({"pathx": [{"seed": 0, "state": "open"}]}, PUBLISHED, note="Cut short.", latex=False)
    assert text.startswith("Cut short.")
    assert "| hyperseq | – | – | – | these runs |" in text
    assert "| pathx | – |  | 0 open |  |  |  |  |  |  |" in text


def test_a_group_without_published_results_has_the_table_of_tasks_alone():
    text = format_text(RUNS, read_published("mine"), note=NOTES["full"], latex=False)
    assert "source" not in text and "| pathx | failed |" in text


@pytest.mark.parametrize(
    ("told", "samples", "tokens"),
    [
        ({}, 2 * 495 / 20, 2 * 495 * 1024 / 20),  # the last batch of an epoch holds 5 samples
        ({"epochs": 0, "steps": 30}, 15, 15 * 1024),
        # 50 steps an epoch; the second one was cut short.
        ({"epochs": 1, "steps": 60}, 29.75, 29.75 * 1024),
        ({"seconds": 0.0}, None, None),
    ],
)
def test_samples_and_tokens_a_second_are_those_of_the_training(told, samples, tokens):
    run = result(0, 0.5, **told)
    assert (samples_per_second(run), tokens_per_second(run)) == (samples, tokens)


def test_tokens_a_second_are_unknown_where_lengths_differ():
    assert tokens_per_second(result(0, 0.5, data="tasks.lra.text.Text")) is None


# What is published, against the averages that the papers print.
@pytest.mark.parametrize(
    ("model", "average"),
    [
        ("Transformer", "53.66"),
        ("S4 (v1)", "80.48"),
        ("S4-LegS (updated)", "86.09"),
        ("S4-FouT", "77.90"),
        ("S4D-Lin", "78.39"),
        ("S5", "87.46"),
        ("MEGA", "88.21"),
        ("Liquid-S4", "87.32"),
        ("SGConv", "87.17"),
        ("B2S6", "87.71"),
        ("Mamba", "66.59"),
    ],
)
def test_averages_over_six_are_those_that_the_papers_print(model, average):
    lra = read_published("lra")
    (row,) = [row for row in lra.rows if row["model"] == model]
    assert lra.average(row["scores"]) == average


@pytest.mark.parametrize("group", ["images", "lra", "series", "speech"])
def test_each_published_row_has_a_source_scores_in_percent_and_known_marks(group):
    published = read_published(group)
    assert published.rows
    for row in published.rows:
        assert row["source"] and set(row) <= {"model", "scores", "source", "marks", "average"}
        assert set(row["scores"]) <= set(published.columns) and set(row.get("marks", [])) <= set(MARKS)
        assert all(1 < float(score.split()[0]) <= 100 for score in row["scores"].values() if score != "failed")


def test_the_tables_lie_in_the_folder_and_json_holds_the_numbers(tmp_path):
    (tmp_path / "lra").mkdir()
    (tmp_path / "lra/listops.yaml").write_text(json.dumps({"fails": [2]}))
    jobs = choose_jobs(
        str(tmp_path / "lra"),
        tasks=["listops"],
        seeds=[0, 1, 2],
        budget="full",
        root=tmp_path / "runs",
        command="tests.tasks.bench.fake_fit",
    )
    options = ["--trainer.limit_test_batches=8"]
    write = partial(write_tables, jobs, group="lra", budget="full", out=tmp_path / "out", options=options)
    run_jobs(jobs, write=write, say=lambda line: None)
    paths = write()
    assert sorted((tmp_path / "out").iterdir()) == sorted(paths)
    told = json.loads((tmp_path / "out/table.json").read_text())
    assert told["note"].endswith("\n\nOptions of every run beside its config: --trainer.limit_test_batches=8")
    listops = told["tasks"]["listops"]
    assert (listops["mean"], listops["unfinished"], listops["metric"]) == (0.505, {"2": "failed"}, "accuracy")
    assert listops["std"] == pytest.approx(0.00707, abs=1e-5)
    assert all(run["memory"]["process"] > 2**20 for run in listops["runs"][:2])
    assert [run["parameters"] for run in listops["runs"][:2]] == [1234, 1234]
    assert told["ours"] == [{"model": "hyperseq", "listops": "50.50 ± 0.71", "source": "these runs"}]
    assert any(row["model"] == "S5" for row in told["published"])
