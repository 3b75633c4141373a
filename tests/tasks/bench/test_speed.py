import json

import pytest
import yaml

from tasks.bench.speed import format_speeds, write_speed_configs, write_speed_tables
from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.lra.random_tokens import RandomTokens
from tests.tasks.command import ROOT, hyperseq

LRA = ROOT / "configs/lra"
NARROW = [f"--model.backbone.{o}" for o in ("channels=[4,8]", "stem.channels=4", "slow_hidden_channels=4")]


def speed(rate=None, gibibytes=1, **others):
    known = {
        "parameters": 1234,
        "steps_per_second": rate,
        "memory": {"process": gibibytes * 2**30},
        "device": "cpu (2 cores)",
        "num_threads": 1,
    }
    return known | others if rate else others


def test_each_network_is_timed_at_each_length_by_the_engine_of_all_runs(tmp_path):
    words = ("--tasks", "listops", "--speed", "--lengths", "9", "16", "--root", tmp_path, "--show")
    answer = hyperseq("bench", "lra", *words)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [f"listops-{length}, seed 0: open, not begun" for length in (9, 16)]
    config = tmp_path / "lra-speed/listops-9.yaml"
    answer = hyperseq("fit", "--config", config, "--run.root", tmp_path, *NARROW, "--data.num_train=64")
    assert (answer.code, answer.err) == (0, "") and "steps           2\n" in answer.out
    (results,) = tmp_path.glob("listops/1/results.json")
    told = json.loads(results.read_text())
    assert told["input_shape"] == [1, 9] and "accuracy" not in told and told["source"] == "generated"


def test_a_config_keeps_its_network_and_takes_random_tokens(tmp_path):
    assert write_speed_configs({"listops": LRA / "listops.yaml"}, lengths=[7], folder=tmp_path) == ["listops-7"]
    before = yaml.safe_load((LRA / "listops.yaml").read_text())
    after = yaml.safe_load((tmp_path / "listops-7.yaml").read_text())
    assert after["model"] == before["model"] and after["run"]["import_from"] == [str(LRA)]
    assert after["data"]["class_path"] == "tasks.lra.random_tokens.RandomTokens"
    assert after["data"]["init_args"] == {"length": 7, "num_train": 256, "batch_size": 32}


@pytest.mark.parametrize(
    ("task", "lengths", "told"),
    [
        ("image", (7,), "tasks must take tokens, by the stem hyperseq.nn.TokenEmbedding, to be timed at any length, "),
        ("listops", (7, 7), "lengths must be different ones of at least 1, got 7, 7"),
        ("listops", (0,), "lengths must be different ones of at least 1, got 0"),
    ],
)
def test_what_cannot_be_timed_is_refused_and_nothing_is_written(task, lengths, told, tmp_path):
    words = ("--tasks", task, "--speed", "--lengths", *lengths, "--root", tmp_path)
    answer = hyperseq("bench", "lra", *words)
    assert answer.code == 2 and answer.err.startswith(f"hyperseq: error: {told}") and not list(tmp_path.iterdir())


def test_the_table_has_steps_with_their_ratio_to_the_last_network_and_memory():
    speeds = {
        "ours": {1024: speed(3.0, 2), 2048: speed(1.5, 4)},
        "attention": {1024: speed(1.5), 2048: speed(state="failed")},
    }
    table, _, note = format_speeds(speeds, latex=False).partition("\n\n")
    assert table.splitlines()[0].split(" | ")[2:4] == ["1,024: steps/s", "2,048: steps/s"]
    assert table.splitlines()[2:] == [
        "| ours | 1,234 | 3 (2.0) | 1.5 | 2.00 GiB process | 4.00 GiB process |",
        "| attention | 1,234 | 1.5 | failed | 1.00 GiB process |  |",
    ]
    assert "the first included" in note and note.endswith("cpu (2 cores), threads: 1.\n")
    assert "\\begin{tabular}" in format_speeds(speeds, latex=True)


def test_what_is_not_measured_yet_is_named_by_its_state(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.bench.speed.collect_runs", lambda jobs: {"a-8": [{"seed": 0, "state": "open"}]})
    paths = write_speed_tables([], out=tmp_path)
    assert [path.name for path in paths] == ["speed.md", "speed.tex", "speed.json"]
    assert json.loads((tmp_path / "speed.json").read_text())["networks"] == {"a": {"8": {"state": "open"}}}


def test_random_tokens_are_a_data_module_of_one_length():
    data = RandomTokens(length=5, num_train=7, batch_size=4)
    data.setup()
    check_data_module(data)
    first, second = data.train_dataloader()
    assert first["x"].shape == (4, 5) and second["lengths"].tolist() == [5, 5, 5] and first["x"].min() >= 1
    with pytest.raises(UserError, match="length must be at least 1, got 0"):
        RandomTokens(length=0, num_train=7)
