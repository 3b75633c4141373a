import json

import numpy as np
import pytest
import torch

from tasks.estimators import load_run
from tests.tasks.command import hyperseq

onnxruntime = pytest.importorskip("onnxruntime")


def test_the_file_answers_as_the_run_and_the_card_says_how_to_use_it(trained, tmp_path):
    path = tmp_path / "digits.onnx"
    answer = hyperseq("export", "--run", trained.folder, "--out", path)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{path}, {path}.json: differs by ")
    card = json.loads((tmp_path / "digits.onnx.json").read_text())
    assert card["inputs"] == {
        "x": {"type": "float32", "shape": ["batch", 1, 64]},
        "lengths": {"type": "int64", "shape": ["batch"], "is": "filled positions, 1 to 64"},
    }
    assert card["output"] == {"name": "y", "type": "float32", "shape": ["batch", 10], "is": "probabilities"}
    assert card["class_names"] == list("0123456789") and card["network"] == "Terminator"
    x, lengths = torch.rand(5, 1, 64), torch.tensor([64, 9, 1, 33, 64])
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {"x": x.numpy(), "lengths": lengths.numpy()})
    np.testing.assert_allclose(found, load_run(trained.folder).predict(x, lengths).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--length", "0"], "length must be at least 1 and for sequences, got 0"),
        (["--run", "nowhere"], "path must be a run folder, got nowhere without config.yaml"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_no_file(trained, tmp_path, words, told):
    answer = hyperseq("export", "--run", trained.folder, "--out", tmp_path / "model.onnx", *words)
    assert (answer.code, answer.err) == (1, f"hyperseq: error: {told}\n")
    assert list(tmp_path.iterdir()) == []
