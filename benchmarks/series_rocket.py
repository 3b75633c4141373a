"""MiniRocket on the data sets of `configs/series`, to compare with; it needs aeon, not this library.

``python benchmarks/series_rocket.py --root data`` in an environment of its own: ``python -m venv rocket``, then
``rocket/bin/pip install aeon``. Series are padded with zeros at the end to the longest of the two splits.
"""

import argparse
import importlib.metadata
import time
from pathlib import Path

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.datasets import load_from_ts_file

DATA_SETS = ("JapaneseVowels", "ACSF1", "PigCVP", "PLAID")
SHORTEST = 9
"""MiniRocket's kernels have nine taps."""


def read(root: Path, data_set: str, part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Read one split: arrays `(C, L)`, as `.ts`, or `.txt` with the class in front."""
    path = root / data_set / f"{data_set}_{part}"
    if path.with_suffix(".ts").is_file():
        x, y = load_from_ts_file(str(path.with_suffix(".ts")))
        return [np.asarray(each) for each in x], np.asarray(y)
    table = np.loadtxt(path.with_suffix(".txt"))
    return list(table[:, None, 1:]), table[:, 0]


def standardize(x: np.ndarray) -> np.ndarray:
    """Give each channel of one sequence mean 0 and standard deviation 1."""
    std = x.std(axis=-1, keepdims=True)
    return (x - x.mean(axis=-1, keepdims=True)) / np.where(std > 0, std, 1)


def pad(x: list[np.ndarray], length: int) -> np.ndarray:
    """Put sequences `(C, L_i)` into one array, zeros behind them."""
    return np.stack([np.pad(each, ((0, 0), (0, length - each.shape[-1]))) for each in x]).astype(np.float32)


def measure(root: Path, data_set: str, seed: int) -> tuple[float, float]:
    """Return the test accuracy and the seconds of the training."""
    (x, y), (test_x, test_y) = (read(root, data_set, part) for part in ("TRAIN", "TEST"))
    if data_set != "JapaneseVowels":
        x, test_x = [[standardize(each) for each in part] for part in (x, test_x)]
    longest = max(SHORTEST, *(each.shape[-1] for each in [*x, *test_x]))
    model = MiniRocketClassifier(random_state=seed)
    start = time.process_time()
    model.fit(pad(x, longest), y)
    seconds = time.process_time() - start
    return float((model.predict(pad(test_x, longest)) == test_y).mean()), seconds


def main() -> None:
    """Print one row a data set and seed."""
    parser = argparse.ArgumentParser(prog="benchmarks/series_rocket.py", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of all data sets")
    parser.add_argument("--data-sets", nargs="+", choices=DATA_SETS, default=DATA_SETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the kernels' biases")
    arguments = parser.parse_args()
    print(f"aeon {importlib.metadata.version('aeon')}\n")
    print("| data set | seed | accuracy | CPU seconds |\n|---|---|---|---|")
    for data_set in arguments.data_sets:
        for seed in arguments.seeds:
            accuracy, seconds = measure(arguments.root, data_set, seed)
            print(f"| {data_set} | {seed} | {100 * accuracy:.2f}% | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
