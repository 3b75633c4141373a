"""``python -m benchmarks.layers``: train every layer on every problem for equal seconds, one JSON line a run."""

import argparse
import json

import torch

from benchmarks.layers.contenders import Layer, contenders
from benchmarks.layers.problems import PROBLEMS, Problem
from benchmarks.layers.training import Network, train
from hyperseq.allocator import keep_freed_memory


def main() -> None:
    """Run the chosen problems with all layers."""
    parser = argparse.ArgumentParser(prog="benchmarks.layers", description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="problems")
    parser.add_argument("--seconds", type=float, default=150.0, help="training time of one run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one run for each")
    parser.add_argument("--depth", type=int, default=2, help="layers")
    parser.add_argument("--parameters", type=int, default=100_000, help="parameters of the stack of each network")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    for name in arguments.problems:
        problem = PROBLEMS[name]()
        for seed in arguments.seeds:
            for layer_name, layer in contenders(problem).items():
                torch.manual_seed(seed)
                network = fit_width(problem, layer, depth=arguments.depth, parameters=arguments.parameters)
                result = train(network, seconds=arguments.seconds, seed=seed)
                count = sum(p.numel() for p in network.stack.parameters())
                row = {"problem": name, "layer": layer_name, "seed": seed, "parameters": count, **result}
                print(json.dumps(row), flush=True)


def fit_width(problem: Problem, layer: Layer, *, depth: int, parameters: int) -> Network:
    """Build the network whose stack has the number of parameters closest to the wanted one, in steps of four wide."""

    def build(width: int) -> Network:
        return Network(problem, layer, depth=depth, width=width)

    def distance(network: Network) -> int:
        return abs(sum(p.numel() for p in network.stack.parameters()) - parameters)

    return min((build(width) for width in range(32, 97, 4)), key=distance)


if __name__ == "__main__":
    main()
