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


def test_topk_names_further_classes_with_falling_probabilities():
    clip = FSDD / "clips/low.wav"
    answer = hyperseq("predict", "--run", FSDD, "--topk", 3, clip)
    header, row = (line.split(",") for line in answer.out.splitlines())
    assert header == [
        "name",
        "predicted",
        "probability",
        "predicted_2",
        "probability_2",
        "predicted_3",
        "probability_3",
    ]
    logits = torch.tensor(json.loads((FSDD / "logits.json").read_text())["low.wav"])
    probabilities, places = logits.softmax(dim=0).topk(3)
    assert row[1::2] == [str(place) for place in places.tolist()]
    assert [float(value) for value in row[2::2]] == pytest.approx(probabilities.tolist(), rel=1e-3)
    for topk in (0, 11):
        answer = hyperseq("predict", "--run", FSDD, "--topk", topk, clip)
        message = f"topk must lie in 1..10, the number of classes, got {topk}"
        assert (answer.code, answer.err) == (1, f"hyperseq: error: {message}\n")


def test_the_shipped_model_is_under_a_megabyte():
    size = sum(path.stat().st_size for path in FSDD.rglob("*") if path.is_file())
    assert size == pytest.approx(410_000, rel=0.2) and size < 2**20
