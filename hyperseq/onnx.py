"""Export to ONNX: a file that runs without PyTorch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn


def export_onnx(module: nn.Module, x: Tensor, path: str | Path, *, lengths: Tensor | None = None) -> Path:
    """Write a module in evaluation mode as an ONNX file, for inputs of one size and any batch size.

    ONNX has neither an FFT that all runtimes know, nor complex numbers. In the file, a convolution is matrix products:
    a transform of N points takes about ``2 N sqrt(N)`` of them, and no matrix holds more than about ``2 N`` numbers.

    Args:
        module: A layer or network; ``module(x)``, or ``module(x, lengths=lengths)``, returns one tensor.
        x: An example, ``(B, ...)``, such as zeros. Its size is that of all inputs; shorter ones are padded and come
            with lengths.
        path: The file, such as ``model.onnx``. It is replaced at once or not at all.
        lengths: An example, ``(B,)`` of int64. With lengths, the file takes a second input of this name.

    Returns:
        The path. The file's inputs are ``x`` and, with lengths, ``lengths``; its output is ``y``.

    Raises:
        ValueError: If the module is in training mode.
        ModuleNotFoundError: If the package ``onnxscript`` is missing.

    Example:
        >>> from hyperseq.nn import ChannelMixing
        >>> export_onnx(ChannelMixing(2, 3).eval(), torch.zeros(1, 2, 8), "mixing.onnx")  # doctest: +SKIP
        PosixPath('mixing.onnx')
    """
    path = Path(path)
    if any(part.training for part in module.modules()):
        raise ValueError("module must be in evaluation mode (module.eval()), got training mode")
    if find_spec("onnxscript") is None:
        raise ModuleNotFoundError('export_onnx needs the package onnxscript: pip install "hyperseq[onnx]"')
    inputs = {"x": x} if lengths is None else {"x": x, "lengths": lengths}
    # A batch of 1 would become a constant of the program.
    examples = {name: tensor.detach()[:1].repeat(2, *[1] * (tensor.dim() - 1)) for name, tensor in inputs.items()}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            module,
            (examples.pop("x"),),
            kwargs=examples,
            dynamo=True,
            dynamic_shapes={name: {0: "batch"} for name in inputs},
            input_names=list(inputs),
            output_names=["y"],
            verbose=False,
        )
    assert program is not None
    part = path.with_name(f"{path.name}.part")
    try:
        program.save(part, external_data=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the exporter says about itself; its errors are raised."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("onnxscript", "torch.onnx"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
