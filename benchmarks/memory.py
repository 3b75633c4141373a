"""Peak memory of one forward and backward pass, each in a process of its own.

``python -m benchmarks.memory LENGTH CHANNELS [--compiled]`` prints the bytes that an SFNE block needs beyond its input
(Linux). With ``--depth N``, a `ResidualStack` of N mixers takes the place of the block, and ``--checkpoint`` lets it
compute each block again.
"""

import argparse
import ctypes
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch

import hyperseq
from benchmarks.cases import batch_size
from hyperseq.backbones import ResidualStack


def bytes_per_token(length: int, channels: int, *, compiled: bool = False) -> float:
    """Measure the block in training, and return its peak bytes per token (CPU)."""
    command = [sys.executable, "-m", "benchmarks.memory", str(length), str(channels), *["--compiled"] * compiled]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed) / (batch_size(length) * length)


def resident(field: str) -> int:
    """Read ``VmRSS``, the memory of this process, or ``VmHWM``, its peak, in bytes."""
    # not getrusage: a child process begins with the peak of its parent there
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith(field)).split()[1])


def main() -> None:
    """Print the bytes for the length and channels on the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("length", type=int)
    parser.add_argument("channels", type=int)
    parser.add_argument("--compiled", action="store_true", help="the block behind torch.compile")
    parser.add_argument("--depth", type=int, help="a ResidualStack of so many mixers")
    parser.add_argument("--checkpoint", action="store_true", help="with --depth: checkpoint=True")
    arguments = parser.parse_args()
    if arguments.checkpoint and arguments.depth is None:
        parser.error("--checkpoint must come with --depth")
    channels = arguments.channels
    block: torch.nn.Module = hyperseq.nn.SFNEBlock(1, channels, channels, size=arguments.length)
    if arguments.depth is not None:
        mixer = partial(hyperseq.SequenceMixer, l_max=arguments.length)
        block = ResidualStack(
            channels, layer=mixer, depth=arguments.depth, d_model=channels, checkpoint=arguments.checkpoint
        )
    if arguments.compiled:
        block.compile(dynamic=False)
    x = torch.randn(batch_size(arguments.length), channels, arguments.length, requires_grad=True)
    # a pass before, so that libraries are loaded and programs compiled; then all it left behind is given back
    block(x).sum().backward()
    block.zero_grad()
    x.grad = None
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    block(x).sum().backward()
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main()
