"""One training step on one long sequence, through a small Terminator (Linux).

``python -m benchmarks.long_sequence`` takes a million steps, and prints seconds and the peak memory of the process.
``--length 16384 --in-channels 1 --channels 16 32 64`` is Path-X.
"""

import argparse
import time
from collections.abc import Sequence

import torch

import hyperseq
from benchmarks.memory import resident


def main(argv: Sequence[str] | None = None) -> None:
    """Run it, and print what it took."""
    parser = argparse.ArgumentParser(prog="benchmarks.long_sequence", description=__doc__)
    parser.add_argument("--length", type=int, default=1_048_576, help="steps of the sequence")
    parser.add_argument("--in-channels", type=int, default=16, help="width of the input")
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 16, 16], help="widths: of the stem, the blocks")
    arguments = parser.parse_args(argv)
    torch.manual_seed(0)
    in_channels, length, widths = arguments.in_channels, arguments.length, arguments.channels
    network = hyperseq.Terminator(1, in_channels, size=length, channels=widths)
    optimizer = torch.optim.AdamW(network.parameters())
    x = torch.randn(1, in_channels, length)
    start = time.perf_counter()
    kernels = network.hyper_kernels((length,))
    loss = network(x, hyper_kernels=kernels).square().mean() + hyperseq.losses.slow_neural_loss(kernels)
    loss.backward()
    optimizer.step()
    seconds = time.perf_counter() - start
    peak = resident("VmHWM") / 2**30
    print(f"{length:,} steps, {widths} channels: {seconds:.1f} s, peak {peak:.1f} GiB")


if __name__ == "__main__":
    main()
