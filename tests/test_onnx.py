"""Laws of exported files: onnxruntime gives the answers of the module, for any batch size, with and without lengths."""

import pytest
import torch

from hyperseq.nn import GroupStandardization, SFNEBlock
from hyperseq.onnx import export_onnx
from tests import cases

onnxruntime = pytest.importorskip("onnxruntime")


def run(path, **inputs):
    (found,) = onnxruntime.InferenceSession(path).run(None, {name: x.numpy() for name, x in inputs.items()})
    return torch.from_numpy(found)


@torch.no_grad()
def test_a_block_answers_padded_batches_of_any_size_as_in_python(tmp_path):
    torch.manual_seed(0)
    block = SFNEBlock(1, 2, 4, size=13, local_kernel_sizes=(3,), slow_num_layers=1).eval()
    path = export_onnx(block, torch.zeros(1, 2, 13), tmp_path / "block.onnx", lengths=torch.tensor([13]))
    for lengths in ([5], [13, 13], [1, 13, 6]):
        x = cases.spoiled(cases.normal(len(lengths), 2, 13, dtype=torch.float32), lengths, float("nan")).detach()
        found = run(path, x=x, lengths=torch.tensor(lengths))
        torch.testing.assert_close(found, block(x, lengths=torch.tensor(lengths)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_layer_for_images_answers_as_in_python(tmp_path):
    layer = GroupStandardization(4).eval()
    path = export_onnx(layer, torch.zeros(3, 4, 5, 6), tmp_path / "layer.onnx")
    for batch in (1, 4):
        x = torch.randn(batch, 4, 5, 6)
        torch.testing.assert_close(run(path, x=x), layer(x), rtol=1e-4, atol=1e-4)


def test_a_module_in_training_mode_is_refused_and_leaves_no_file(tmp_path):
    module = torch.nn.Sequential(GroupStandardization(4)).eval()
    module[0].batch.train()
    with pytest.raises(ValueError, match=r"^module must be in evaluation mode \(module.eval\(\)\), got training mode$"):
        export_onnx(module, torch.zeros(1, 4, 5), tmp_path / "layer.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_keeps_the_file_that_was_there(tmp_path):
    path = tmp_path / "layer.onnx"
    path.write_bytes(b"before")
    with pytest.raises(torch.onnx.OnnxExporterError):
        export_onnx(torch.nn.Linear(3, 2).eval(), torch.zeros(1, 4), path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("layer.onnx", b"before")]


def test_without_onnxscript_the_message_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("hyperseq.onnx.find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r'^export_onnx needs the package onnxscript: pip install "hyperseq\[onnx\]"$'
    ):
        export_onnx(torch.nn.Identity().eval(), torch.zeros(1, 4), tmp_path / "layer.onnx")
