"""Trained layers and networks in a folder: the weights as safetensors, the options as JSON."""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from hyperseq.backbones import Terminator, TerminatorCIFAR
from hyperseq.nn import SequenceBlock, SequenceMixer
from hyperseq.nn._options import options_of

_CLASSES: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (SequenceBlock, SequenceMixer, Terminator, TerminatorCIFAR)
}
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


def save_pretrained(module: nn.Module, folder: str | Path) -> Path:
    """Write a layer or network to a folder, from which `from_pretrained` makes it again.

    The folder holds ``model.safetensors``, all tensors of ``module.state_dict()``, and ``config.json``, the class and
    all options of its constructor, defaults and training size included. It appears whole or not at all.

    Args:
        module: A `SequenceMixer`, `SequenceBlock`, `Terminator` or `TerminatorCIFAR`. Of a stem that was given, the
            weights are written, and the name of the class.
        folder: A folder that is new or empty.

    Returns:
        The folder.

    Raises:
        ValueError: If the module is of another class or has no weights yet (meta device), or the folder is in use.
        ModuleNotFoundError: If the package ``safetensors`` is missing.

    Example:
        >>> from hyperseq import SequenceMixer
        >>> save_pretrained(SequenceMixer(8, l_max=100), "mixer")  # doctest: +SKIP
        PosixPath('mixer')
    """
    folder, name = Path(folder), type(module).__name__
    if _CLASSES.get(name) is not type(module):
        raise ValueError(f"module must be of the class {_names()}, got {name}")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"folder must be new or empty, got {folder}")
    state = module.state_dict()
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.is_meta:
            found = "one on the meta device" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"module must hold a tensor {key}, got {found}")
    _check_package()
    from safetensors.torch import save_file

    # a device belongs to a machine, and the type stands in the weights
    options = {key: value for key, value in options_of(module).items() if key not in ("device", "dtype")}
    config = json.dumps({"class": name, "options": options}, indent=2, default=_plain)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as part:
        whole = Path(part) / folder.name
        whole.mkdir()
        (whole / _CONFIG).write_text(config + "\n", encoding="utf-8")
        save_file({key: value.detach().cpu().contiguous().clone() for key, value in state.items()}, whole / _WEIGHTS)
        if folder.exists():
            folder.rmdir()
        os.replace(whole, folder)
    return folder


def from_pretrained(
    folder: str | Path, *, stem: nn.Module | None = None, device: torch.device | str | None = None
) -> nn.Module:
    """Make the layer or network that `save_pretrained` wrote: its class, options, weights and their types.

    Args:
        folder: The folder.
        stem: A module of the class that the saved network was given as its stem; its weights are overwritten.
        device: Device of the weights; default: the CPU.

    Returns:
        The module, in evaluation mode.

    Raises:
        ValueError: If a file is missing or is not what `save_pretrained` writes, or the stem is not the one saved.
        ModuleNotFoundError: If the package ``safetensors`` is missing.

    Example:
        >>> mixer = from_pretrained("mixer")  # doctest: +SKIP
        >>> mixer.l_max  # doctest: +SKIP
        100
    """
    folder = Path(folder)
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"folder must hold {_CONFIG} and {_WEIGHTS}, got {folder} without {name}")
    module = _build(folder / _CONFIG, stem)
    saved = _read_weights(folder / _WEIGHTS)
    state = module.state_dict()
    expected, found = ({(key, tuple(value.shape)) for key, value in each.items()} for each in (state, saved))
    if expected != found:
        wrong = ", ".join(f"{key} {shape}" for key, shape in sorted(expected ^ found)[:3])
        raise ValueError(f"{folder / _WEIGHTS} must hold the tensors of {_CONFIG}, got others or none for {wrong}")
    for key, value in [*module.named_parameters(), *module.named_buffers()]:
        # by data: a new parameter would lose its marks
        value.data = value.data.to(saved[key].dtype)
    module.load_state_dict(saved)
    return module.to(device).eval()


def _build(path: Path, stem: nn.Module | None) -> nn.Module:
    """Make the module that a file of options describes, with weights drawn anew."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        name, options = str(config["class"]), dict(config["options"])
        given = options.get("stem")
        wanted = None if given is None else str(given["given"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} must hold a class and its options, got {type(error).__name__}: {error}") from error
    if name not in _CLASSES:
        raise ValueError(f"{path} must name the class {_names()}, got {name!r}")
    if wanted != (None if stem is None else type(stem).__name__):
        rule = "be None" if wanted is None else f"be the {wanted} that the saved network was given"
        raise ValueError(f"stem must {rule}, got {'None' if stem is None else type(stem).__name__}")
    if stem is not None:
        options["stem"] = stem
    # the weights drawn here are overwritten: the caller's random numbers go on as before
    with torch.random.fork_rng(devices=[]):
        try:
            return _CLASSES[name](**options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} must hold options of {name}, got an error: {error}") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    _check_package()
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} must be a file of safetensors, got an error: {error}") from error


def _check_package() -> None:
    if find_spec("safetensors") is None:
        raise ModuleNotFoundError(
            'save_pretrained and from_pretrained need the package safetensors: pip install "hyperseq[pretrained]"'
        )


def _names() -> str:
    return ", ".join(_CLASSES)


def _plain(value: Any) -> object:
    """Turn a number of numpy, or a sequence that is no list, into what JSON knows."""
    return value.item() if hasattr(value, "item") else list(value)
