import json

import numpy as np
import pytest
import torch

from tasks.estimators import load_run
from tests.tasks.command import hyperseq

onnxruntime = pytest.importorskip("onnxruntime")

# A small network: tests/test_onnx.py exports the block. Here the whole way from run to card is tested.
NETWORK = """
import torch
from hyperseq.functional import as_padding, mask_padding
from hyperseq.nn import ChannelMixing

class Network(torch.nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels, self.mixing = 4, ChannelMixing(in_channels, 4)
    def forward(self, x, *, lengths=None):
        padding = as_padding(lengths, x)
        return mask_padding(self.mixing(mask_padding(x, padding)), padding)
    def output_lengths(self, lengths):
        return lengths
"""
CONFIG = """
run: {name: small}
trainer: {max_epochs: 1, limit_train_batches: 1, accelerator: cpu}
data: {class_path: tasks.images.digits.Digits, init_args: {num_spatial_dims: 1, batch_size: 64}}
model: {backbone: {class_path: exported_network.Network}}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the folder of a run whose network is exported in a second."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "exported_network.py").write_text(NETWORK)
    (folder / "small.yaml").write_text(CONFIG)
    answer = hyperseq("fit", "--config", folder / "small.yaml", "--run.root", folder / "runs")
    assert answer.code == 0, answer.err
    return folder / "runs/small/1"


def test_the_file_answers_as_the_run_and_the_card_says_how_to_use_it(small, tmp_path):
    path = tmp_path / "digits.onnx"
    answer = hyperseq("export", "--run", small, "--out", path)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{path}, {path}.json: differs by ")
    card = json.loads((tmp_path / "digits.onnx.json").read_text())
    assert card["inputs"] == {
        "x": {"type": "float32", "shape": ["batch", 1, 64]},
        "lengths": {"type": "int64", "shape": ["batch"], "is": "filled positions, 1 to 64"},
    }
    assert card["output"] == {"name": "y", "type": "float32", "shape": ["batch", 10], "is": "probabilities"}
    assert card["class_names"] == list("0123456789") and card["network"] == "Network"
    x, lengths = torch.rand(5, 1, 64), torch.tensor([64, 9, 1, 33, 64])
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {"x": x.numpy(), "lengths": lengths.numpy()})
    np.testing.assert_allclose(found, load_run(small).predict(x, lengths).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--length", "0"], "length must be at least 1 and for sequences, got 0"),
        (["--run", "nowhere"], "path must be a run folder, got nowhere without config.yaml"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_no_file(small, tmp_path, words, told):
    answer = hyperseq("export", "--run", small, "--out", tmp_path / "model.onnx", *words)
    assert (answer.code, answer.err) == (1, f"hyperseq: error: {told}\n")
    assert list(tmp_path.iterdir()) == []
