"""``python -m benchmarks.comparison``: train within equal seconds on sequential MNIST; ``--report`` draws the results.

Training takes the seconds times the networks times the seeds, and some minutes of validation beyond.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.comparison.contenders import LEARNING_RATES, PEERS, load_data, make_contender, smnist_options
from benchmarks.comparison.networks import num_parameters
from benchmarks.comparison.report import write_report
from benchmarks.comparison.training import train
from benchmarks.report import environment
from hyperseq.allocator import keep_freed_memory

OUTPUT = Path(__file__).parents[1] / "results" / "comparison"
NETWORKS = ("terminator", *PEERS)


def main() -> None:
    """Train each network for the seconds given, or report what was trained."""
    parser = argparse.ArgumentParser(prog="benchmarks.comparison", description=__doc__)
    parser.add_argument("--report", action="store_true", help="train nothing: write comparison.md and comparison.png")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of all data sets")
    parser.add_argument("--seconds", type=float, default=600.0, help="seconds of training of each network")
    parser.add_argument("--points", type=int, default=8, help="validations, evenly spread over the seconds")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and order of batches")
    parser.add_argument("--num-threads", type=int, help="CPU threads")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, help="who takes part")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the results; the report lies beside it")
    for name, lr in LEARNING_RATES.items():
        parser.add_argument(f"--{name}-lr", type=float, default=lr, help="its peak learning rate")
    arguments = parser.parse_args()
    if arguments.report:
        print(write_report(arguments.output))
        return
    keep_freed_memory()
    if arguments.num_threads is not None:
        torch.set_num_threads(arguments.num_threads)
    # once, before results are written: they are changes, too
    facts = environment()
    for name in arguments.networks:
        rate = None if name == "terminator" else getattr(arguments, f"{name}_lr")
        document = run(
            name,
            root=arguments.root,
            seconds=arguments.seconds,
            num_points=arguments.points,
            seed=arguments.seed,
            lr=rate,
        )
        arguments.output.mkdir(parents=True, exist_ok=True)
        path = arguments.output / f"{name}-seed{arguments.seed}.json"
        path.write_text(json.dumps(document | {"environment": facts}, indent=1) + "\n")


def run(name: str, *, root: Path, seconds: float, num_points: int, seed: int, lr: float | None) -> dict[str, Any]:
    """Train and test one network, and tell all that is to be kept of it."""
    options = smnist_options()
    torch.manual_seed(seed)
    data = load_data(options, root=root, seed=seed)
    model, told = make_contender(name, options, data, lr=lr)
    parameters = num_parameters(model)
    print(f"{name}, {parameters:,} parameters, seed {seed}", flush=True)
    shared = {
        "seconds": seconds,
        "warmup": options["model"]["warmup"],
        "gradient_clip": options["trainer"]["gradient_clip_val"],
    }
    curve, test = train(model, data, **shared, num_points=num_points)
    print(f"  test {100 * test['accuracy']:.2f}%", flush=True)
    return {
        "network": name,
        "parameters": parameters,
        "seed": seed,
        "trained_by": "the Classifier of all tasks",
        **shared,
        "ema_decay": model.ema_decay,
        "label_smoothing": options["model"]["label_smoothing"],
        "batch_size": data.batch_size,
        **told,
        "split_sizes": data.split_sizes,
        "curve": curve,
        "test": test,
    }


if __name__ == "__main__":
    main()
