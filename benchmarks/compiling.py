"""Seconds that torch.compile takes for one SFNE block, forward and backward, at one length after another.

``python -m benchmarks.compiling [LENGTH ...]`` starts with an empty cache of programs, and prints the first step's
seconds at each length: where they are those of a plain step, the programs at hand served it.
"""

import argparse
import time

import torch
from torch._inductor.utils import fresh_cache

import hyperseq


def main() -> None:
    """Print the seconds of each length."""
    parser = argparse.ArgumentParser(prog="benchmarks.compiling", description=__doc__)
    parser.add_argument("lengths", type=int, nargs="*", default=[1024, 777, 1500, 509, 2048], metavar="LENGTH")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    block = hyperseq.nn.SFNEBlock(1, arguments.channels, arguments.channels, size=max(arguments.lengths))
    block.compile()
    with fresh_cache():
        for length in arguments.lengths:
            x = torch.randn(arguments.batch_size, arguments.channels, length)
            start = time.perf_counter()
            block(x).square().mean().backward()
            print(f"L = {length:,}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
