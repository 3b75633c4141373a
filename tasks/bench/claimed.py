"""Run a module as `python -m` does while holding a claim: `python -m tasks.bench.claimed CLAIM MODULE WORDS...`.

The process that trains shows the signs of life itself. Whoever started it may be killed; the training goes on, and
nobody starts it a second time.
"""

import runpy
import sys
from pathlib import Path

from tasks.bench.claims import Claim


def main() -> None:
    """Sign the claim, then become the module."""
    claim = Claim(Path(sys.argv[1]))
    claim.sign()
    sys.argv = sys.argv[2:]
    with claim.beating():
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
