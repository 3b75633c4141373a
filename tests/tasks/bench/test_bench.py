import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import yaml

from tasks.bench.bench import choose_jobs, run_jobs
from tasks.bench.budgets import EXPECTED, SMALL, choose_options, describe_budget
from tasks.bench.jobs import choose_environment
from tasks.bench.tables import collect_runs, write_tables
from tasks.errors import UserError
from tasks.results.summary import Summary
from tasks.shipped import find_configs
from tests.tasks.command import hyperseq

ROOT = Path(__file__).parents[3]
FAKE = "tests.tasks.bench.fake_fit"


@pytest.fixture
def lra(tmp_path):
    """A folder of own configs that is named after a group."""
    (tmp_path / "lra").mkdir()
    return tmp_path / "lra"


def write_config(lra, task, **content):
    (lra / f"{task}.yaml").write_text(json.dumps(content))


def jobs(lra, *tasks, seeds=(0,), **options):
    options = {"budget": "full", "root": lra.parent / "runs", "command": FAKE} | options
    return choose_jobs(str(lra), tasks=tasks, seeds=seeds, **options)


def run(lra, *tasks, seeds=(0,), budget="full", **options):
    """Return whether all went well, and what was said."""
    said, out = [], lra.parent / "out"
    chosen = jobs(lra, *tasks, seeds=seeds, budget=budget)
    write = partial(write_tables, chosen, group="lra", budget=budget, out=out)
    well = run_jobs(chosen, write=write, say=said.append, **options)
    return well, said[:-3]


def starts(lra):
    return Counter((lra.parent / "runs/starts").read_text().splitlines())


def test_each_task_is_trained_with_each_seed_once_however_often_the_command_is_called(lra):
    write_config(lra, "listops")
    write_config(lra, "image")
    for _ in range(2):
        assert run(lra, "listops", "image", seeds=(0, 1))[0]
    assert starts(lra) == {f"lra-{task}-full-seed{seed} begun": 1 for task in ("listops", "image") for seed in (0, 1)}


def test_after_a_failed_seed_the_others_go_on_and_it_runs_again_only_when_asked(lra):
    write_config(lra, "listops", fails=[0])
    well, said = run(lra, "listops", seeds=(0, 1))
    folder = lra.parent / "runs/lra-listops-full-seed0"
    assert not well
    reason = f"ValueError: loss must be finite, got nan ({folder / 'log.txt'}; --retry-failed runs it again)"
    assert said[0] == f"listops, seed 0: failed, {reason}"
    assert said[1] == f"listops, seed 1: finished, {lra.parent / 'runs/lra-listops-full-seed1'}"
    assert run(lra, "listops", seeds=(0, 1)) == (well, said)
    assert starts(lra)["lra-listops-full-seed0 begun"] == 1
    assert not run(lra, "listops", seeds=(0, 1), retry_failed=True)[0]
    assert starts(lra)["lra-listops-full-seed0 begun"] == 2


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(lra):
    write_config(lra, "listops", killed=[0])
    well, (said,) = run(lra, "listops")
    assert not well and said.startswith("listops, seed 0: interrupted, the same command continues it")
    assert run(lra, "listops")[0]
    assert starts(lra) == {"lra-listops-full-seed0 begun": 1, "lra-listops-full-seed0 resumed": 1}


def test_processes_that_share_a_folder_do_no_run_twice(lra):
    write_config(lra, "listops", seconds=0.2)
    threads = [threading.Thread(target=run, args=(lra, "listops"), kwargs={"seeds": (0, 1, 2)}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run(lra, "listops", seeds=(0, 1, 2))[0]
    assert starts(lra) == {f"lra-listops-full-seed{seed} begun": 1 for seed in (0, 1, 2)}


def test_a_training_outlives_the_kill_of_the_command_and_is_not_begun_again(lra):
    write_config(lra, "listops", seconds=1.0)
    code = (
        "import sys; from pathlib import Path; from tests.tasks.bench.test_bench import jobs\n"
        "jobs(Path(sys.argv[1]), 'listops')[0].act(retry_failed=False)"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, str(lra)], cwd=ROOT)
    while not (lra.parent / "runs/starts").exists():
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    (job,) = jobs(lra, "listops")
    assert (job.state(), job.act(retry_failed=False)) == ("running", "running")
    while job.state() == "running":
        time.sleep(0.02)
    assert (job.state(), job.act(retry_failed=False)) == ("finished", "finished")
    assert starts(lra) == {"lra-listops-full-seed0 begun": 1}


@pytest.mark.parametrize(
    "word", ["--seed_everything=5", "--run.name", "--run.root=x", "--run.start_from=x", "--config", "--ckpt_path=last"]
)
def test_options_that_bench_sets_for_each_run_are_refused_beside_it(lra, word):
    write_config(lra, "listops")
    name = word.partition("=")[0]
    with pytest.raises(UserError, match=f"^options behind -- must be those that all runs .* share, got {name}$"):
        jobs(lra, "listops", options=[word])
    assert jobs(lra, "listops", options=["--run.num_threads=1", "--trainer.accelerator", "cpu"])


def test_a_seed_below_0_is_refused(lra):
    write_config(lra, "listops")
    with pytest.raises(UserError, match="^seeds must be at least 0, got -1$"):
        jobs(lra, "listops", seeds=(0, -1))


def test_a_run_does_not_join_the_processes_of_a_launcher(lra, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.setenv(name, "2")
    write_config(lra, "listops")
    assert run(lra, "listops")[0]
    (job,) = jobs(lra, "listops")
    assert job.results()["launched"] == []


def test_under_torchrun_each_process_of_a_machine_has_a_device_of_its_own():
    assert choose_environment({"LOCAL_RANK": "1"}) == {"CUDA_VISIBLE_DEVICES": "1"}
    assert choose_environment({"CUDA_VISIBLE_DEVICES": "4,7"}) == {"CUDA_VISIBLE_DEVICES": "4,7"}
    with pytest.raises(UserError, match="^LOCAL_RANK must be below the 2 visible devices, got 2$"):
        choose_environment({"LOCAL_RANK": "2", "CUDA_VISIBLE_DEVICES": "4,7"})


def test_what_began_with_another_config_is_refused(lra):
    write_config(lra, "listops")
    run(lra, "listops")
    write_config(lra, "listops", source="generated")
    folder = lra.parent / "runs/lra-listops-full-seed0"
    with pytest.raises(
        UserError, match="^config must be as when .* was begun, got others: give these, or another --root$"
    ):
        jobs(lra, "listops")
    assert folder.is_dir()


def test_what_began_with_other_options_tells_them_and_a_damaged_note_is_named(lra):
    write_config(lra, "listops")
    given = ["--data.batch_size=4", "--trainer.accelerator=cpu"]
    (job,) = jobs(lra, "listops", options=given)
    job.act(retry_failed=False)
    message = (
        f"options must be as when {job.folder} was begun, which were {' '.join(given)}, got others: give these, or"
    )
    with pytest.raises(UserError, match=f"^{message}"):
        jobs(lra, "listops")
    (job.folder / "asked.json").write_text("")
    with pytest.raises(UserError, match="asked.json must be JSON, as bench wrote it, got: "):
        jobs(lra, "listops", options=given)


def test_damaged_results_are_named_by_show(lra):
    write_config(lra, "listops")
    run(lra, "listops")
    (results,) = (lra.parent / "runs").rglob("results.json")
    results.write_text("")
    answer = hyperseq("bench", lra, "--tasks", "listops", "--root", lra.parent / "runs", "--show")
    assert answer.code == 2 and answer.err.startswith(f"hyperseq: error: {results} must be JSON, as the training wrote")


def test_tables_that_cannot_be_written_are_refused_before_a_training(tmp_path):
    (tmp_path / "file").touch()
    answer = hyperseq("bench", "lra", "--tasks", "listops", "--root", tmp_path, "--out", tmp_path / "file/x")
    assert answer.code == 2 and answer.err.startswith("hyperseq: error: --out must be a folder that can be made, got ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("group", "words", "told"),
    [
        ("lar", ("--tasks", "image"), "GROUP must be one of images, lra, series, speech, or a folder .*, got lar"),
        ("images", ("--tasks", "digit"), "tasks must be among .*digits.*, got digit"),
        ("lra", ("--tasks", "listops", "--seeds", "1", "1"), "seeds must be different ones, at least one, got 1, 1"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_answered_in_one_line(group, words, told):
    answer = hyperseq("bench", group, *words)
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert re.fullmatch(f"hyperseq: error: {told}", line)


def test_a_small_budget_is_stated_for_every_shipped_config_and_for_no_other():
    for name in find_configs():
        assert choose_options("small", group=name.split("/")[0], task=name.split("/")[1])["trainer.max_epochs"] > 0
    assert set(SMALL) <= set(find_configs())
    with pytest.raises(UserError, match="^budget must be full where no small one is stated, got small for lra/mine$"):
        choose_options("small", group="lra", task="mine")


def test_a_small_budget_says_what_it_is_expected_to_reach_and_what_was_not_measured():
    assert set(EXPECTED) <= set(SMALL) and all(0 < score < 1 for score in EXPECTED.values())
    told = describe_budget("small", group="images", tasks=["digits", "stl10_2d"]).splitlines()[-1]
    score = f"{100 * EXPECTED['images/digits']:.2f}%"
    assert told == f"Expected test accuracy, measured with seed 0: digits {score}; not measured: stl10_2d."
    assert "Expected" not in describe_budget("full", group="images", tasks=["digits"])


def test_the_words_of_a_run_are_those_of_fit(lra):
    write_config(lra, "listops")
    (job,) = jobs(lra, "listops", seeds=(3,), budget="small", options=["--trainer.accelerator=cpu"])
    root = str(lra.parent / "runs")
    place = ["--run.root", root, "--run.name", "lra-listops-small-seed3", "--seed_everything", "3"]
    cut = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=200", "--data.batch_size=16"]
    cut += ["--trainer.accelerator=cpu"]
    assert job.words() == ["fit", "--config", str(lra / "listops.yaml"), "--trainer.devices=1", *place, *cut]


def test_the_own_layer_and_config_of_the_document_are_taken(lra, monkeypatch):
    text = (ROOT / "docs/benchmark-your-model.md").read_text()
    (layer,) = re.findall(r"```python\n# my/lra/my_layers.py\n(.*?)```", text, flags=re.DOTALL)
    (config,) = re.findall(r"```yaml\n# my/lra/listops_mine.yaml\n(.*?)```", text, flags=re.DOTALL)
    (lra / "my_layers.py").write_text(layer)
    (lra / "listops_mine.yaml").write_text(config)
    monkeypatch.syspath_prepend(lra)
    (job,) = jobs(lra, "listops_mine", budget="small")
    import torch  # not above: a process of another test imports this file, and torch takes seconds

    layer = __import__("my_layers").GatedConvolution(6, taps=3)
    assert layer(torch.ones(2, 5, 6)).shape == (2, 5, 6)
    answer = hyperseq(*job.words(), "--print_config")
    assert answer.code == 0
    assert yaml.safe_load(answer.out)["model"]["backbone"]["init_args"]["layer"]["class_path"].endswith(
        "GatedConvolution"
    )


def test_show_tells_the_state_and_trains_nothing(tmp_path):
    answer = hyperseq("bench", "images", "--tasks", "digits", "--seeds", "0", "1", "--root", str(tmp_path), "--show")
    assert (answer.code, answer.out) == (0, "digits, seed 0: open, not begun\ndigits, seed 1: open, not begun\n")
    assert list(tmp_path.iterdir()) == []


def test_one_option_varies_over_its_values_and_the_table_has_the_mean(lra):
    write_config(lra, "listops")
    chosen = jobs(lra, "listops", seeds=(0, 1), over=("data.test_fold", ("1", "2")))
    assert [(job.seed, job.part, job.options) for job in chosen] == [
        (seed, part, (f"--data.test_fold={part}",)) for seed in (0, 1) for part in ("1", "2")
    ]
    assert len({job.name for job in chosen}) == 4
    runs = collect_runs(chosen)["listops"]
    assert Summary.of(runs).seeds == "0 (1) open, 0 (2) open, 1 (1) open, 1 (2) open"


@pytest.mark.parametrize(("values", "told"), [((), "different ones"), (("1", "1"), "different"), (("a/b",), "plain")])
def test_values_that_name_no_folder_are_refused(lra, values, told):
    write_config(lra, "listops")
    with pytest.raises(UserError, match=f"the values of --over must be {told}"):
        jobs(lra, "listops", over=("data.test_fold", values))
