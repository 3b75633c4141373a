"""The table of what runs reached, read from their `results.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from tasks.runs.run_folder import RunFolder

SELECTED_ON_TEST = "* The epoch was chosen on the test part: no estimate for new samples."
COLUMNS = ("task", "run", "parameters", "best val", "test accuracy", "n", "seconds", "seed")


@dataclass(frozen=True)
class Run:
    """One run folder and its numbers.

    Attributes:
        path: The folder.
        results: Content of its `results.json`, or `None` when the run failed or did not finish.
    """

    path: Path
    results: dict[str, Any] | None

    @property
    def number(self) -> int:
        """Number of the run within its group."""
        return int(self.path.name) if self.path.name.isdecimal() else 0


def find_groups(paths: list[Path]) -> list[list[Run]]:
    """Find the runs in folders.

    Args:
        paths: Each a run folder, a folder of runs, or a folder of such folders.

    Returns:
        Runs by group, oldest first in each.

    Raises:
        ValueError: If a path holds no run.
    """
    groups: dict[Path, list[Run]] = {}
    for path in paths:
        configs = sorted(path.glob("config.yaml")) or sorted(path.glob("*/config.yaml"))
        configs = configs or sorted(path.glob("*/*/config.yaml"))
        if not configs:
            raise ValueError(f"PATH must be a run folder or a folder of runs, got {path}")
        for folder in (config.parent for config in configs):
            groups.setdefault(folder.parent, []).append(_read(folder))
    return [sorted(runs, key=lambda run: run.number) for runs in groups.values()]


def print_results(console: Console, groups: list[list[Run]], *, every_run: bool) -> None:
    """Print the table.

    Args:
        console: Where to print.
        groups: Runs by group.
        every_run: Whether to show all runs and their mean, or the newest of each group.
    """
    table = Table(*COLUMNS)
    for column in table.columns[2:]:
        column.justify = "right"
    shown = groups if every_run else [runs[-1:] for runs in groups]
    for runs in shown:
        for run in runs:
            table.add_row(*_cells(run))
        if every_run:
            table.add_row(*_summary(runs), style="bold", end_section=True)
    console.print(table)
    if any(run.results and _mark(run.results) for runs in shown for run in runs):
        console.print(SELECTED_ON_TEST)


def _read(folder: Path) -> Run:
    results = RunFolder(folder).results
    return Run(folder, json.loads(results.read_text(encoding="utf-8")) if results.is_file() else None)


def _cells(run: Run) -> tuple[str, ...]:
    if run.results is None:
        state = "failed" if RunFolder(run.path).error.is_file() else "incomplete"
        return run.path.parent.name, str(run.path), "", "", state, "", "", ""
    results = run.results
    return (
        str(results["task"]),
        str(run.path),
        f"{results['parameters']:,}",
        f"{100 * results['val_accuracy']:.2f}%",
        f"{100 * results['accuracy']:.2f}%{_mark(results)}",
        f"{results['n']:,}",
        f"{results['seconds']:.0f}",
        f"{results['seed']}",
    )


def _summary(runs: list[Run]) -> tuple[str, ...]:
    done = [run.results for run in runs if run.results is not None]
    count = f"{len(done)} of {len(runs)} runs" if len(done) < len(runs) else f"{len(runs)} runs"
    if not done:
        return runs[0].path.parent.name, count, "", "", "", "", "", ""
    accuracies = [100 * results["accuracy"] for results in done]
    spread = f" +- {stdev(accuracies):.2f}" if len(done) > 1 else ""
    val, seconds = (mean(results[name] for results in done) for name in ("val_accuracy", "seconds"))
    test = f"{mean(accuracies):.2f}%{spread}{max(_mark(results) for results in done)}"
    return str(done[0]["task"]), f"mean, {count}", "", f"{100 * val:.2f}%", test, "", f"{seconds:.0f}", ""


def _mark(results: dict[str, Any]) -> str:
    return "*" if results.get("selected_on") == "test" else ""
