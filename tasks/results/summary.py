"""One summary of several runs, for every table: mean, spread, and what became of the seeds that did not finish."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

SELECTED_ON_TEST = "* The epoch was chosen on the test split, as in some older papers: no estimate for new samples."


@dataclass(frozen=True)
class Summary:
    """Several runs of one task, as the cells of a table.

    Attributes:
        accuracy: Mean and standard deviation, such as `98.78 ± 0.15%`; `failed` if no run finished.
        seconds: Mean duration of a finished training; empty if no run finished.
        seeds: Every seed, and the state of those that did not finish, such as `0, 1, 2 failed`.
        mark: `*` if the test split chose the epoch of one of the runs.
    """

    accuracy: str
    seconds: str
    seeds: str
    mark: str

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, Any]]) -> "Summary":
        """Summarize runs.

        Args:
            runs: Each with `seed`. A finished run has `accuracy` and `seconds`, and may have `selected_on`. `state`
                stands behind the seed; without `accuracy` and `state`, the state is `failed`.

        Returns:
            The summary.
        """
        done = [run for run in runs if "accuracy" in run]
        states = (run.get("state", "" if "accuracy" in run else "failed") for run in runs)
        return cls(
            accuracy=mean_and_spread([run["accuracy"] for run in done]) if done else "failed",
            seconds=f"{mean(run['seconds'] for run in done):,.0f}" if done else "",
            seeds=", ".join(f"{run['seed']} {state}".rstrip() for run, state in zip(runs, states, strict=True)),
            mark=max(map(mark, done), default=""),
        )


def mean_and_spread(shares: Sequence[float]) -> str:
    """Show shares as their mean and standard deviation in percent.

    Args:
        shares: Numbers from 0 to 1, at least one.

    Returns:
        Such as `98.78 ± 0.15%`; a single share has no deviation.

    Example:
        >>> mean_and_spread([0.98, 0.99]), mean_and_spread([0.5])
        ('98.50 ± 0.71%', '50.00%')
    """
    percents = [100 * share for share in shares]
    spread = f" ± {stdev(percents):.2f}" if len(percents) > 1 else ""
    return f"{mean(percents):.2f}{spread}%"


def mark(run: Mapping[str, Any]) -> str:
    """Return `*` if the test split chose the epoch of a run, and an empty string otherwise."""
    return "*" if run.get("selected_on") == "test" else ""


def distinct(cells: Iterable[str]) -> str:
    """Join the cells, each once, in their order."""
    return "; ".join(dict.fromkeys(cells))
