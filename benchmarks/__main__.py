"""``python -m benchmarks``: measure, print a table, write ``benchmarks/results/``; under ten minutes on 2 cores."""

import argparse
from pathlib import Path

from benchmarks import cases, memory, report
from benchmarks.timing import compare
from hyperseq.allocator import keep_freed_memory

OUTPUT = Path(__file__).parent / "results"
LENGTHS = (1024, 4096, 16384, 65536, 262144)
COMPILED = (1024, 65536)
"""Lengths at which the compiled block is timed, too: each costs a minute of compiling. The mixer at the first."""
WIDTHS = (32, 64, 128)


def main() -> None:
    """Run all cases at 64 channels, and the block at the other widths at two lengths."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for results.json and results.md")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of every case")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="sequence lengths")
    arguments = parser.parse_args()

    # for all contenders alike: what the command hyperseq does, too
    keep_freed_memory()
    rows: report.Rows = []

    def measure(case: str, contenders: cases.Contenders, reference: str | None, channels: int, length: int) -> None:
        print(f"{case}, D = {channels}, L = {length:,}", flush=True)
        timings = compare(contenders, rounds=arguments.rounds, warm_up=1)
        rows.extend(report.rows_of(case, timings, reference=reference, channels=channels, length=length))

    measure("sequential MNIST, batch 50", cases.sequential_mnist_step(), "GRU 64, training step", 64, 784)
    for length in arguments.lengths:
        operators = cases.operators(length, 64)
        measure("operators, forward + backward", operators, "bare transforms, three values", 64, length)
        for mode in ("forward + backward", "evaluation"):
            compiled = mode == "forward + backward" and length in COMPILED
            measure(f"block, {mode}", cases.block(length, 64, mode=mode, compiled=compiled), "floor", 64, length)
        for causal in (False, True):
            name = "causal sequence mixer" if causal else "sequence mixer"
            contenders = cases.mixer(length, 64, causal=causal, compiled=length == COMPILED[0])
            measure(f"{name}, forward + backward", contenders, None, 64, length)
        measure("hyper-kernel", cases.hyper_kernel(length, 64), None, 64, length)
    for channels in WIDTHS:
        if channels != 64:
            for length in arguments.lengths[:3:2]:
                contenders = cases.block(length, channels, mode="forward + backward")
                measure("block, forward + backward", contenders, "floor", channels, length)

    peaks: report.Rows = [
        {
            "channels": 64,
            "length": length,
            "compiled": compiled,
            "bytes_per_token": memory.bytes_per_token(length, 64, compiled=compiled),
        }
        for length in arguments.lengths
        for compiled in ((False, True) if length in COMPILED else (False,))
    ]
    report.write(rows, peaks, arguments.output)
    print((arguments.output / "results.md").read_text())


if __name__ == "__main__":
    main()
