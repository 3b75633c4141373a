"""Run a module as `python -m` does while holding a claim: `python -m tasks.bench.claimed CLAIM MODULE WORDS...`.

The process that trains shows the signs of life itself. Whoever started it may be killed; the training goes on, and
nobody starts it a second time.
"""

import json
import resource
import runpy
import sys
from pathlib import Path

from tasks.bench.claims import Claim

MEMORY = "memory.json"
"""Beside the folder of claims: the largest memory that the module had, in bytes."""


def main() -> None:
    """Sign the claim, then become the module."""
    claim = Claim(Path(sys.argv[1]))
    claim.sign()
    if claim.is_lost():
        # Whoever started this process was killed before the line above, and another took the run.
        sys.exit(1)
    sys.argv = sys.argv[2:]
    with claim.beating():
        try:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        finally:
            _keep_peaks(claim.path.parents[1] / MEMORY)


def _keep_peaks(path: Path) -> None:
    # The kernel counts KiB, that of macOS bytes.
    peaks = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)}
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        peaks["device"] = torch.cuda.max_memory_allocated()
    # A run that was continued has the largest of all its processes.
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = {}  # there is none, or the process was killed as it wrote
    path.write_text(json.dumps({name: max(peak, earlier.get(name, 0)) for name, peak in peaks.items()}))


if __name__ == "__main__":
    main()
