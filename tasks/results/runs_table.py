"""The table of what runs reached, read from their `results.json`."""

import json
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from tasks.errors import UserError
from tasks.results.summary import SELECTED_ON_TEST, Summary, distinct, mark, mean_and_spread, metric
from tasks.runs.run_folder import RunFolder

COLUMNS = ("task", "run", "parameters", "best val", "test", "n", "seconds", "seed")

Run = dict[str, Any]
"""Content of `results.json`, and the `folder`; of a run without results `task`, `seed`, `state` and `folder`."""


def find_groups(paths: list[Path]) -> list[list[Run]]:
    """Return the runs by group, oldest first in each; a path is a run folder, a folder of runs, or a folder of such.

    Raises:
        UserError: If a path holds no run.
    """
    groups: dict[Path, list[Run]] = {}
    for path in paths:
        configs = (sorted(path.glob(f"{depth}config.yaml")) for depth in ("", "*/", "*/*/"))
        found = next(filter(None, configs), None)
        if found is None:
            raise UserError(f"PATH must be a run folder or a folder of runs, got {path}")
        for config in found:
            groups.setdefault(config.parent.parent, []).append(_read(config.parent))
    return [sorted(runs, key=_number) for runs in groups.values()]


def print_results(console: Console, groups: list[list[Run]], *, every_run: bool) -> None:
    """Print every run and the summary of each group, or only the newest finished run of each group."""
    table = Table(*COLUMNS)
    for column in table.columns[2:]:
        column.justify = "right"
    shown = groups if every_run else [[_newest(runs)] for runs in groups]
    for runs in shown:
        for run in runs:
            table.add_row(*_cells(run))
        if every_run:
            table.add_row(*_summary(runs), style="bold", end_section=True)
    console.print(table)
    if any(map(mark, (run for runs in shown for run in runs))):
        console.print(SELECTED_ON_TEST)


def _read(folder: Path) -> Run:
    run = RunFolder(folder)
    if run.results.is_file():
        return {**json.loads(run.results.read_text(encoding="utf-8")), "folder": folder}
    config = yaml.safe_load(run.config.read_text(encoding="utf-8")) or {}
    state = "failed" if run.error.is_file() else "incomplete"
    return {"task": folder.parent.name, "seed": config.get("seed_everything"), "state": state, "folder": folder}


def _newest(runs: list[Run]) -> Run:
    """Return the newest finished run; without one, the newest."""
    return next((run for run in reversed(runs) if "state" not in run), runs[-1])


def _number(run: Run) -> int:
    return int(run["folder"].name) if run["folder"].name.isdecimal() else 0


def _cells(run: Run) -> tuple[str, ...]:
    name, seed = (run["task"], str(run["folder"])), str(run["seed"])
    if "state" in run:
        return *name, "", "", run["state"], "", "", seed
    main = metric(run)
    # A run without a validation split has the score of the test split alone.
    val, test = (mean_and_spread([run[name]], main) if name in run else "" for name in (f"val_{main}", main))
    test += mark(run)
    return *name, f"{run['parameters']:,}", val, test, f"{run['n']:,}", f"{run['seconds']:,.0f}", seed


def _summary(runs: list[Run]) -> tuple[str, ...]:
    summary, done = Summary.of(runs), [run for run in runs if "state" not in run]
    validated = [run for run in done if f"val_{metric(run)}" in run]
    val = mean_and_spread([run[f"val_{metric(run)}"] for run in validated], metric(done[0])) if validated else ""
    parameters, n = (distinct(f"{run[name]:,}" for run in done) for name in ("parameters", "n"))
    test = summary.score + summary.mark
    return runs[-1]["task"], f"mean of {len(done)}", parameters, val, test, n, summary.seconds, summary.seeds
