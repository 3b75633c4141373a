"""Timing several contenders in turn, so that a drifting machine is unfair to none of them."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call: the median over the rounds, and the quartiles around it."""

    median: float
    lower: float
    upper: float
    rounds: int

    def as_dict(self) -> dict[str, float]:
        """Return the fields for JSON."""
        return asdict(self)


def compare(contenders: dict[str, Callable[[int], object]], *, rounds: int = 7, warm_up: int = 2) -> dict[str, Timing]:
    """Time every contender once a round, in an order that rotates.

    Args:
        contenders: Functions of the round number, which lets them take turns among their inputs.
        rounds: Counted rounds.
        warm_up: Rounds before, not counted.

    Returns:
        The timing of each contender.
    """
    names = list(contenders)
    times: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(-warm_up, rounds):
        shift = round_number % len(names)
        for name in names[shift:] + names[:shift]:
            synchronize()
            start = time.perf_counter()
            contenders[name](round_number)
            synchronize()
            if round_number >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: _summarize(values) for name, values in times.items()}


def _summarize(values: list[float]) -> Timing:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(median=median, lower=lower, upper=upper, rounds=len(values))


def synchronize() -> None:
    """Wait until the GPU, if there is one, has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
