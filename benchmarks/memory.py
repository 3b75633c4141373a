"""Peak memory of one forward and backward pass, each in a process of its own.

``python -m benchmarks.memory LENGTH CHANNELS`` prints the bytes that an SFNE block needs beyond its input (Linux).
"""

import subprocess
import sys
from pathlib import Path

import torch

import hyperseq
from benchmarks.cases import batch_size


def bytes_per_token(length: int, channels: int) -> float:
    """Measure the block in training, and return its peak bytes per token (CPU)."""
    command = [sys.executable, "-m", "benchmarks.memory", str(length), str(channels)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed) / (batch_size(length) * length)


def _peak() -> int:
    # not getrusage: a child process begins with the peak of its parent there
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def main() -> None:
    """Print the bytes for the length and channels on the command line."""
    length, channels = map(int, sys.argv[1:])
    # a short pass first, so that libraries and threads are loaded before the counting starts
    hyperseq.nn.SFNEBlock(1, channels, channels, size=64)(torch.randn(1, channels, 64)).sum().backward()
    block = hyperseq.nn.SFNEBlock(1, channels, channels, size=length)
    x = torch.randn(batch_size(length), channels, length, requires_grad=True)
    before = _peak()
    block(x).sum().backward()
    print(_peak() - before)


if __name__ == "__main__":
    main()
