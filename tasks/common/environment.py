"""Where a number comes from: versions, commit, device."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import hyperseq

PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "jsonargparse", "numpy", "scikit-learn")


def environment(device: torch.device) -> dict[str, Any]:
    """Record what a result depends on besides its config.

    Args:
        device: Where the model ran.

    Returns:
        `versions`, `commit`, `device` and `torch_threads`, ready for JSON.
    """
    return {
        "versions": versions(),
        "commit": commit(Path(__file__).resolve().parents[2]),
        "device": device_name(device),
        "torch_threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Read the versions of Python, of this project and of the packages that a result depends on."""
    found = {"python": platform.python_version(), "hyperseq": hyperseq.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit(source: Path) -> str | None:
    """Read the commit of a source checkout.

    Args:
        source: Root of the checkout.

    Returns:
        The commit, with `-dirty` when the code differs from it; `None` outside a checkout. (A virtual environment
        inside somebody else's checkout is outside: its root is another folder.)
    """
    root = _git(source, "rev-parse", "--show-toplevel")
    head = _git(source, "rev-parse", "--verify", "HEAD")
    if root is None or head is None or Path(root).resolve() != source.resolve():
        return None
    return head + ("-dirty" if _git(source, "status", "--porcelain", "--", "hyperseq", "tasks") else "")


def device_name(device: torch.device) -> str:
    """Name a device the way people compare it.

    Args:
        device: The device.

    Returns:
        Such as `cpu (x86_64)` or `cuda (NVIDIA H200)`.
    """
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()})"


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
