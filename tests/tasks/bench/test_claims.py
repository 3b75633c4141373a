import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.bench.claims import Claim, is_held

ROOT = Path(__file__).parents[3]


def set_age(claim, seconds):
    then = time.time() - seconds
    os.utime(claim.path, (then, then))


def sign_as_another_machine(claim):
    claim.path.write_text(json.dumps({"where": "another machine", "pid": os.getpid()}))


def test_a_claim_is_held_until_it_is_released(tmp_path):
    claim = Claim.take(tmp_path)
    assert Claim.take(tmp_path) is None
    claim.release()
    assert Claim.take(tmp_path) is not None


def test_of_many_processes_one_gets_the_claim(tmp_path):
    code = (
        "import sys; from tasks.bench.claims import *; c = Claim.take(Path(sys.argv[1])); print(c is not None); input()"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    processes = [
        subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = [process.stdout.readline().strip() for process in processes]
    for process in processes:
        process.communicate("\n")
    assert sorted(answers) == ["False", "False", "False", "True"]


def test_the_claim_of_a_process_of_this_machine_that_was_killed_is_free_at_once(tmp_path):
    code = "import sys; from tasks.bench.claims import *; Claim.take(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT).returncode == -9
    assert Claim.take(tmp_path) is not None


def test_the_claim_of_a_process_that_ended_and_whose_parent_never_asked_is_free(tmp_path):
    code = "import sys; from tasks.bench.claims import *; Claim.take(Path(sys.argv[1])); print(flush=True); input()"
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert Claim.take(tmp_path) is None
        process.kill()
        process.stdout.read()
        deadline = time.monotonic() + 5
        while Claim.take(tmp_path) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / "2").exists() and process.returncode is None


@pytest.mark.parametrize(("age", "held"), [(290, True), (310, False)])
def test_the_claim_of_another_machine_is_free_after_five_minutes_without_a_heartbeat(tmp_path, age, held):
    claim = Claim.take(tmp_path)
    sign_as_another_machine(claim)
    set_age(claim, age)
    assert is_held(claim.path) is held
    assert (Claim.take(tmp_path) is None) is held


def test_a_claim_that_has_no_line_yet_is_held(tmp_path):
    (tmp_path / "1").touch()
    assert Claim.take(tmp_path) is None


def test_two_that_find_one_stale_claim_do_not_both_get_it(tmp_path, monkeypatch):
    stale = Claim.take(tmp_path)
    # The other one takes the claim over between our look and our attempt.
    monkeypatch.setattr("tasks.bench.claims.is_held", lambda path, stale: (tmp_path / "2").touch())
    assert Claim.take(tmp_path) is None
    assert stale.is_lost()


def test_a_heartbeat_keeps_the_claim(tmp_path):
    claim = Claim.take(tmp_path)
    sign_as_another_machine(claim)
    set_age(claim, 1000)
    with claim.beating(every=0.01):
        deadline = time.monotonic() + 5
        while not is_held(claim.path) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert is_held(claim.path)


def test_a_training_whose_claim_was_taken_over_before_it_began_does_not_begin(tmp_path):
    claim = Claim.take(tmp_path)
    claim.release()
    Claim.take(tmp_path)
    words = [sys.executable, "-m", "tasks.bench.claimed", str(claim.path), "this", "fails"]
    answer = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert (answer.returncode, answer.stderr) == (1, "")


def test_a_process_whose_claim_was_taken_over_is_told(tmp_path):
    claim, told = Claim.take(tmp_path), []
    claim.release()
    Claim.take(tmp_path)
    with claim.beating(every=0.01, lost=lambda: told.append(True)):
        deadline = time.monotonic() + 5
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
    assert told == [True]
