import json

import pytest
import torch

from tasks.estimators import load_run
from tests.tasks.command import ROOT, hyperseq

FSDD = ROOT / "results/models/fsdd"


def test_the_shipped_model_gives_the_logits_that_lie_beside_it():
    run = load_run(FSDD)
    for name, logits in json.loads((FSDD / "logits.json").read_text()).items():
        (x,) = run.read_samples(FSDD / "clips" / name).values()
        torch.testing.assert_close(run.compute_outputs(x[None])[0], torch.tensor(logits), rtol=1e-3, atol=1e-3)


def test_the_shipped_model_answers_the_command():
    answer = hyperseq("predict", "--run", FSDD, *sorted((FSDD / "clips").iterdir()))
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == "name,predicted,probability" and len(lines) == 3
    assert all(line.split(",")[1] in "0123456789" and 0 < float(line.split(",")[2]) <= 1 for line in lines[1:])


def test_the_shipped_model_is_under_a_megabyte():
    size = sum(path.stat().st_size for path in FSDD.rglob("*") if path.is_file())
    assert size == pytest.approx(410_000, rel=0.2) and size < 2**20
