"""Where a number comes from: versions, commit, device."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import hyperseq

SOURCE = Path(__file__).resolve().parents[2]
PACKAGES = ("pytorch-lightning", "jsonargparse", "numpy", "scikit-learn")


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Describe what a result depends on besides its config, ready for JSON; the model ran on `device`."""
    return {
        "versions": versions(),
        "device": device_name(device),
        "torch_threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Read the versions of Python, of this project and of the packages that a result depends on."""
    found = {"python": platform.python_version(), "hyperseq": hyperseq.__version__, "torch": str(torch.__version__)}
    # The version of torch names its build, such as +cu130; the metadata of the package do not.
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_checkout(source: Path = SOURCE) -> dict[str, Any]:
    """Read which code runs; ask when a run starts, for the checkout may have moved on when it ends.

    Return `commit`, and `dirty`: whether the code differs from it. Both are `None` if `source` is not the root of a
    checkout, such as a virtual environment inside somebody else's checkout.
    """
    root = _git(source, "rev-parse", "--show-toplevel")
    head = _git(source, "rev-parse", "--verify", "HEAD")
    if root is None or head is None or Path(root).resolve() != source.resolve():
        return {"commit": None, "dirty": None}
    return {"commit": head, "dirty": bool(_git(source, "status", "--porcelain", "--", "hyperseq", "tasks"))}


def device_name(device: torch.device) -> str:
    """Name a device the way people compare it, such as `cpu (AMD EPYC, 2 cores)` or `cuda (NVIDIA H200)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({processor_name()})"


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return such as `AMD EPYC, 2 cores`; outside Linux what Python knows, such as `arm64`."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    if not models:
        return platform.processor() or platform.machine()
    return f"{models[0]}, {len(models)} {'core' if len(models) == 1 else 'cores'}"


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
