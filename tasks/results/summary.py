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
        score: Mean and standard deviation of the main metric; `failed` if no run finished.
        seconds: Mean duration of a finished training; empty if no run finished.
        seeds: Every seed, and the state of those that did not finish, such as `0, 1, 2 failed`.
        mark: `*` if the test split chose the epoch of one of the runs.
    """

    score: str
    seconds: str
    seeds: str
    mark: str

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, Any]]) -> "Summary":
        """Summarize runs.

        Each has `seed`. A finished run has `seconds`, the name of its main `metric` (`accuracy` if there is none), the
        metric itself if it was tested, and may have `selected_on`. `state` stands behind the seed; the state of a run
        without `seconds` is `failed` unless it names one. `part` is what runs of one seed differ in, such as a fold.
        """
        done = [run for run in runs if run.get(metric(run)) is not None]
        states = (run.get("state", "" if "seconds" in run else "failed") for run in runs)
        missing = "none" if any("seconds" in run for run in runs) else "failed"
        return cls(
            score=_score(done) if done else missing,
            seconds=f"{mean(run['seconds'] for run in done):,.0f}" if done else "",
            seeds=", ".join(f"{_name(run)} {state}".rstrip() for run, state in zip(runs, states, strict=True)),
            mark=max(map(mark, done), default=""),
        )


def _name(run: Mapping[str, Any]) -> str:
    return f"{run['seed']} ({run['part']})" if "part" in run else f"{run['seed']}"


def _score(runs: Sequence[Mapping[str, Any]]) -> str:
    return mean_and_spread([run[metric(run)] for run in runs], metric(runs[0])) + max(map(origin, runs))


def mean_and_spread(values: Sequence[float], metric: str = "accuracy") -> str:
    """Show at least one value as mean and standard deviation; a single value has no deviation.

    The name of the metric follows the numbers, except that accuracies are shown in percent.

    Example:
        >>> mean_and_spread([0.98, 0.99]), mean_and_spread([0.5]), mean_and_spread([0.25], "mean_absolute_error")
        ('98.50 ± 0.71%', '50.00%', '0.25 mean_absolute_error')
    """
    if metric != "accuracy":
        return f"{mean(values):.4g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else "") + f" {metric}"
    percents = [100 * share for share in values]
    return f"{mean(percents):.2f}" + (f" ± {stdev(percents):.2f}" if len(percents) > 1 else "") + "%"


def metric(run: Mapping[str, Any]) -> str:
    """Return the name of the main metric of a run."""
    return str(run.get("metric", "accuracy"))


def mark(run: Mapping[str, Any]) -> str:
    """Return `*` if the test split chose the epoch of a run, and an empty string otherwise."""
    return "*" if run.get("selected_on") == "test" else ""


def origin(run: Mapping[str, Any]) -> str:
    """Return ` (generated)` if the data of a run are no published ones, and an empty string otherwise."""
    return " (generated)" if run.get("source") == "generated" else ""


def distinct(cells: Iterable[str]) -> str:
    """Join the cells, each once, in their order."""
    return "; ".join(dict.fromkeys(cells))
