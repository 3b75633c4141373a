"""One sequence of a million steps, forward and backward, through a small Terminator (Linux).

``python -m benchmarks.long_sequence`` prints seconds and the peak memory of the process.
"""

import argparse
import time

import torch

import hyperseq
from benchmarks.memory import resident


def main() -> None:
    """Run it, and print what it took."""
    parser = argparse.ArgumentParser(prog="benchmarks.long_sequence", description=__doc__)
    parser.add_argument("--length", type=int, default=1_048_576, help="steps of the sequence")
    parser.add_argument("--channels", type=int, default=16, help="width of the input and of both blocks")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    widths = [arguments.channels] * 3
    network = hyperseq.Terminator(1, arguments.channels, size=arguments.length, channels=widths)
    x = torch.randn(1, arguments.channels, arguments.length, requires_grad=True)
    start = time.perf_counter()
    network(x).square().mean().backward()
    seconds = time.perf_counter() - start
    peak = resident("VmHWM") / 2**30
    print(f"{arguments.length:,} steps, {widths} channels: {seconds:.0f} s, peak {peak:.1f} GiB")


if __name__ == "__main__":
    main()
