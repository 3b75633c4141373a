"""What runs reached, read from their folders: runs that differ in more than the seed are never averaged."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.errors import UserError
from tasks.results.summary import Summary, distinct, mark, mean_and_spread, metric, origin
from tasks.runs.options import drop_run_specific, find_differences, flatten
from tasks.runs.run_folder import RunFolder

COLUMNS = ("run", "parameters", "best val", "test", "n", "seconds", "seed")

Run = dict[str, Any]
"""Content of `results.json`, and the `folder`; of a run without results `task`, `seed`, `state` and `folder`."""

Row = dict[str, str]
"""One line of the table: cells by column. `differs` is there where runs of one name have different options."""


def find_groups(paths: list[Path]) -> list[list[Run]]:
    """Return the runs by name, oldest first in each; a path is a run folder, a folder of runs, or a folder of such.

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
            runs = groups.setdefault(config.parent.parent, [])
            if all(run["folder"] != config.parent for run in runs):
                runs.append(_read(config.parent))
    return [sorted(runs, key=_number) for runs in groups.values()]


def find_newest(runs: Sequence[Run]) -> Run:
    """Return the newest finished run of one name; without one, the newest."""
    return next((run for run in reversed(runs) if "state" not in run), runs[-1])


def list_newest(groups: Sequence[Sequence[Run]]) -> list[Row]:
    """Return a row for the newest finished run of each name; without one, for the newest."""
    return [_run_row(find_newest(runs)) for runs in groups]


def list_all(groups: Sequence[Sequence[Run]]) -> list[list[Row]]:
    """Return one section for each set of runs that differ in the seed alone: a row a run, then their mean."""
    sections = []
    for runs in groups:
        alike = split_by_options(runs)
        differences = find_differences([_options(section[0]) for section in alike])
        for section, differs in zip(alike, differences, strict=True):
            rows = [*map(_run_row, section), _mean_row(section)]
            told = ", ".join(f"{name} {'none' if value is None else value}" for name, value in differs.items())
            sections.append([{**row, "differs": told} if differs else row for row in rows])
    return sections


def split_by_options(runs: Sequence[Run]) -> list[list[Run]]:
    """Split runs of one name into those that differ in the seed alone; a resumed run differs from others."""
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(json.dumps(_options(run), sort_keys=True, default=str), []).append(run)
    return list(alike.values())


def describe_groups(groups: Sequence[Sequence[Run]]) -> list[dict[str, Any]]:
    """Return what `list_all` shows as numbers, ready for JSON."""
    described = []
    for runs in groups:
        alike = split_by_options(runs)
        for section, differs in zip(alike, find_differences([_options(each[0]) for each in alike]), strict=True):
            numbers = [_describe_run(run) for run in section]
            described.append({"task": runs[0]["task"], "differs": differs, "runs": numbers})
    return described


def _read(folder: Path) -> Run:
    run = RunFolder(folder)
    if run.results.is_file():
        return {**json.loads(run.results.read_text(encoding="utf-8")), "folder": folder}
    config = run.read_config()
    state = "failed" if run.error.is_file() else "incomplete"
    return {"task": folder.parent.name, "seed": config.get("seed_everything"), "state": state, "folder": folder,
            "config": config}  # fmt: skip


def _options(run: Run) -> dict[str, Any]:
    options = drop_run_specific(dict(flatten(run.get("config", {}))))
    return {**options, "resumed": True} if run.get("resumed") else options


def _number(run: Run) -> int:
    return int(run["folder"].name) if run["folder"].name.isdecimal() else 0


def _run_row(run: Run) -> Row:
    name, seed = str(run["folder"]), str(run["seed"])
    if "state" in run:
        return dict(zip(COLUMNS, (name, "", "", run["state"], "", "", seed), strict=True))
    main = metric(run)
    val, test = (_shown(run.get(prefix + main), main) for prefix in ("val_", ""))
    cells = (
        name,
        f"{run['parameters']:,}",
        val,
        test + origin(run) + mark(run),
        _count(run),
        f"{run['seconds']:,.0f}",
        seed,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _mean_row(runs: Sequence[Run]) -> Row:
    summary, done = Summary.of(runs), [run for run in runs if "state" not in run]
    values = [value for run in done if (value := run.get(f"val_{metric(run)}")) is not None]
    val = mean_and_spread(values, metric(done[0])) if values else ""
    parameters, n = distinct(f"{run['parameters']:,}" for run in done), distinct(map(_count, done))
    name = f"{runs[-1]['task']}: mean of {len(done)}"
    cells = name, parameters, val, summary.score + summary.mark, n, summary.seconds, summary.seeds
    return dict(zip(COLUMNS, cells, strict=True))


def _shown(value: float | None, metric: str) -> str:
    """Show a figure; a run has none that was not measured, or was no number."""
    return "none" if value is None else mean_and_spread([value], metric)


def _count(run: Run) -> str:
    return f"{run.get('n', 0):,}"


def _describe_run(run: Run) -> dict[str, Any]:
    main, done = metric(run), "state" not in run
    numbers = {name: run.get(name) for name in ("parameters", "n", "seconds", "seed", "selected_on", "source")}
    return {
        "task": run["task"],
        "run": str(run["folder"]),
        "state": run.get("state", "finished"),
        "metric": main if done else None,
        "best_val": run.get(f"val_{main}") if done else None,
        "test": run.get(main) if done else None,
        **numbers,
    }
