"""Speed of the sequence mixer beside torch's encoder layer and GRU at any length: forward + backward, 64 channels.

``python -m benchmarks.mixer --lengths 1024 4096 --compiled`` prints milliseconds, and how many times the throughput of
each peer that is. The GRU takes part at every length, up to half a minute a call; the encoder layer up to 4,096.
"""

import argparse

from benchmarks import cases, peers
from benchmarks.timing import compare
from hyperseq.allocator import keep_freed_memory


def main() -> None:
    """Time causal and other mixers at each length, and print one line a contender."""
    parser = argparse.ArgumentParser(prog="benchmarks.mixer", description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=(1024, 4096), help="sequence lengths")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of every contender")
    parser.add_argument("--compiled", action="store_true", help="time compiled mixers, too")
    arguments = parser.parse_args()
    keep_freed_memory()
    longest = {**peers.LONGEST, "GRU": max(arguments.lengths)}
    for length in arguments.lengths:
        for causal in (False, True):
            print(f"L = {length:,}, {'causal' if causal else 'not causal'}", flush=True)
            contenders = cases.mixer(length, 64, causal=causal, compiled=arguments.compiled, longest=longest)
            timings = compare(contenders, rounds=arguments.rounds)
            for name, timing in timings.items():
                ratios = [f"{timings[peer].median / timing.median:.2f} x {peer}" for peer in longest if peer in timings]
                faster = "" if name in longest else "  " + ", ".join(ratios)
                print(f"  {name}: {timing.median:.0f} ms ({timing.lower:.0f}-{timing.upper:.0f}){faster}", flush=True)


if __name__ == "__main__":
    main()
