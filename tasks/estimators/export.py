"""A trained run as an ONNX file, and a card that says what goes in and what comes out."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hyperseq.onnx import export_onnx
from tasks.errors import UserError
from tasks.estimators.run import Run
from tasks.learning.classifier import Classifier
from tasks.runs.run_folder import write_text

LARGEST_DIFFERENCE = 1e-4
"""Between file and model, relative to the largest output: more is an error."""


def export_run(run: Run, path: Path, *, length: int | None = None) -> dict[str, Any]:
    """Write the best weights of a run as an ONNX file, and beside it a card, `<path>.json`.

    The file takes `x` and, for sequences, `lengths`: shorter sequences are padded at the end with anything. If
    onnxruntime is installed, its answers are compared with those of the model before the card is written.

    Args:
        run: The run.
        path: The file, such as `model.onnx`.
        length: Positions of every input sequence; by default those of the training.

    Returns:
        The card: inputs and output with their types and shapes, class names, preprocessing, the run.

    Raises:
        UserError: If a length is given for images or is below 1, or the file answers otherwise than the model.
        ModuleNotFoundError: If the package `onnxscript` is missing.
    """
    described, sequences = run.description, run.description.num_spatial_dims == 1
    if length is not None and (not sequences or length < 1):
        found = f"{length} for images" if not sequences else str(length)
        raise UserError(f"length must be at least 1 and for sequences, got {found}")
    size = described.size if length is None else (length,)
    ids = described.num_tokens is not None
    shape = [*size] if ids else [described.in_channels, *size]
    x = torch.zeros(1, *shape, dtype=torch.int64 if ids else torch.float32)
    module = _Answer(run.model).eval()
    export_onnx(module, x, path, lengths=torch.tensor([size[0]]) if sequences else None)
    card: dict[str, Any] = {
        "run": str(run.path),
        "network": type(run.model.backbone).__name__,
        "inputs": {"x": {"type": "int64" if ids else "float32", "shape": ["batch", *shape]}},
        "output": {"name": "y", "type": "float32", "shape": ["batch", described.num_classes], "is": module.meaning},
        "class_names": list(described.class_names),
        "preprocessing": {"data": type(run.preprocessing).__qualname__, "learnt": run.preprocessing.state_dict()},
    }
    if sequences:
        card["inputs"]["lengths"] = {"type": "int64", "shape": ["batch"], "is": f"filled positions, 1 to {size[0]}"}
    card["largest_difference"] = _compare(path, module, x, described.num_tokens, sequences=sequences)
    write_text(path.with_name(f"{path.name}.json"), json.dumps(card, indent=2) + "\n")
    return card


class _Answer(nn.Module):
    """A model that returns probabilities where its head has them."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model
        self.probabilities = getattr(model.head, "probabilities", None)
        self.meaning = "outputs of the head" if self.probabilities is None else "probabilities"

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Any:
        outputs = self.model(x, lengths=lengths)
        return outputs if self.probabilities is None else self.probabilities(outputs)


def _compare(path: Path, module: _Answer, x: Tensor, num_tokens: int | None, *, sequences: bool) -> float | None:
    """Return the largest difference on random inputs; `None` without onnxruntime."""
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    generator = torch.Generator().manual_seed(0)
    shape = (3, *x.shape[1:])
    values = torch.randn(shape, generator=generator)
    inputs = {"x": values if num_tokens is None else torch.randint(num_tokens, shape, generator=generator)}
    if sequences:
        inputs["lengths"] = torch.tensor([x.shape[-1], 1, (x.shape[-1] + 1) // 2])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        expected = module(inputs["x"], lengths=inputs.get("lengths"))
    difference = float((torch.from_numpy(found) - expected).abs().max())
    if not difference <= LARGEST_DIFFERENCE * max(1.0, float(expected.abs().max())):
        path.unlink()
        raise UserError(f"the file must answer as the model does, got a difference of {difference:.1e}")
    return difference
