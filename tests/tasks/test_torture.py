"""Nothing that was finished is lost, whatever happens: minutes of it, run by `make torture`."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tasks.runs.checkpoints import read_checkpoint
from tasks.training.callbacks.epoch_log import read_rows
from tests.tasks.command import DIGITS, ROOT, TINY, fit, hyperseq


def resume(run, *words):
    return ("fit", "--config", run / "config.yaml", "--ckpt_path=last", *words)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a run that finished two epochs."""
    root = tmp_path_factory.mktemp("finished")
    fit(root)
    return root / "digits" / "1"


@pytest.mark.torture
@pytest.mark.parametrize("number", range(50))
def test_a_kill_at_any_moment_loses_no_finished_epoch(finished, tmp_path, number):
    run = shutil.copytree(finished, tmp_path / "run")
    words = [sys.executable, "-m", "tasks.cli", *map(str, resume(run, "--trainer.max_epochs=1000"))]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert any(re.match(r"epoch +3/", line) for line in process.stdout)
        time.sleep(random.Random(number).uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    epochs = [row["epoch"] for row in read_rows(run / "metrics.csv")]
    assert epochs == list(range(1, len(epochs) + 1))
    last = read_checkpoint(run / "checkpoints/last.ckpt")["epoch"] + 1
    assert last >= 2 and last in (len(epochs) - 1, len(epochs), len(epochs) + 1)
    assert read_checkpoint(run / "checkpoints/best.ckpt")["epoch"] < last + 1
    answer = hyperseq(*resume(run, f"--trainer.max_epochs={last + 1}"))
    assert (answer.code, answer.err) == (0, "")
    assert [row["epoch"] for row in read_rows(run / "metrics.csv")] == list(range(1, last + 2))


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 2 MiB, where that is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.torture
@pytest.mark.parametrize("left", [0, 3_000, 20_000, 60_000])
def test_a_disk_that_fills_keeps_what_was_finished(small_disk, finished, left):
    run = shutil.copytree(finished, small_disk / "run")
    before = {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filling").write_bytes(bytes(max(free - left, 0)))
    answer = hyperseq(*resume(run, "--trainer.max_epochs=4"))
    if answer.code:
        assert answer.err.count("\n") == 1 and "could not be written: No space left on device, " in answer.err
    for path in before:
        assert read_checkpoint(path)["state_dict"]
    assert answer.code or left == 60_000
    (small_disk / "filling").unlink()
    assert hyperseq(*resume(run, "--trainer.max_epochs=5")).code == 0
    assert [row["epoch"] for row in read_rows(run / "metrics.csv")] == [1, 2, 3, 4, 5]


STEPS = ("--trainer.max_epochs=2", "--trainer.limit_train_batches=10", "--data.batch_size=32")


@pytest.mark.torture
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("compiled", ["false", "true"])
@pytest.mark.parametrize("average", ["null", "0.9"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true", "bf16-true"])
def test_the_digits_train_in_every_combination(tmp_path, precision, average, compiled):
    words = (f"--trainer.precision={precision}", f"--model.ema_decay={average}", f"--run.compile={compiled}")
    answer = fit(tmp_path, *TINY, *STEPS, *words, "--trainer.gradient_clip_val=1.0", config=DIGITS)
    assert answer.err == "" and f"precision {precision}" in answer.out
    assert read_checkpoint(tmp_path / "digits/1/checkpoints/last.ckpt")["global_step"] == 20
    assert hyperseq("test", "--config", tmp_path / "digits/1/config.yaml").code == 0


# Part of `make test`: each precision, with the average, whose weights have a type of their own.
@pytest.mark.parametrize(("precision", "average"), [("bf16-mixed", "0.9"), ("64-true", "0.9"), ("bf16-true", "0.9")])
def test_the_digits_train_in_other_precisions(tmp_path, precision, average):
    words = (f"--trainer.precision={precision}", f"--model.ema_decay={average}", "--trainer.gradient_clip_val=1.0")
    assert f"precision {precision}" in fit(tmp_path, *STEPS, *words).out
