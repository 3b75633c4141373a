"""The verb `bench`: every task with every seed, once, by however many processes call it on one folder."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.bench.budgets import Budget, choose_options
from tasks.bench.jobs import Job, State, plan_jobs
from tasks.errors import UserError
from tasks.shipped import find_configs

POLL = 30.0
OWNED = ("config", "ckpt_path", "seed_everything")
SHARED = ("run.num_threads", "run.compile")
"""Options of the run that are the same for all of them."""


def choose_jobs(
    group: str,
    *,
    tasks: Sequence[str],
    seeds: Sequence[int],
    budget: Budget,
    root: Path,
    options: Sequence[str] = (),
    command: str = "tasks.cli",
    over: tuple[str, Sequence[str]] | None = None,
) -> list[Job]:
    """Return the runs of a benchmark, each with its folder.

    Args:
        group: A folder of shipped configs, such as `lra`, or the path of a folder of own ones, named after a group.
        tasks: Names of configs in it.
        seeds: One run of every task for each.
        budget: `full` for the configs as they are.
        root: Folder of all runs.
        options: Words behind every `hyperseq fit`, such as `--trainer.accelerator=cpu`.
        command: The module that trains.
        over: An option and its values, such as `data.test_fold` and the folds: one run for each, all of them averaged.

    Raises:
        UserError: If the group or a task is unknown, a name stands twice, or what lies in a folder was begun
            otherwise.
    """
    configs = choose_configs(group, tasks=tasks)
    _check_different("seeds", seeds)
    if min(seeds) < 0:
        raise UserError(f"seeds must be at least 0, got {min(seeds)}")
    given = [word.partition("=")[0].removeprefix("--") for word in options if word.startswith("--")]
    if owned := [name for name in given if name in OWNED or name.startswith("run.") and name not in SHARED]:
        raise UserError(f"options behind -- must be those that all runs of a benchmark share, got --{owned[0]}")
    if over is not None:
        _check_different("the values of --over", over[1])
        for value in over[1]:
            if not re.fullmatch(r"[\w.-]+", value):
                raise UserError(f"the values of --over must be plain words or numbers, got {value!r}")
    name = Path(group).resolve().name
    by_task = {
        task: (*(f"--{option}={value}" for option, value in choose_options(budget, group=name, task=task).items()),
               *options)
        for task in tasks
    }  # fmt: skip
    jobs = plan_jobs(configs, group=name, seeds=seeds, budget=budget, options=by_task, root=root, command=command,
                     over=over)  # fmt: skip
    for job in jobs:
        job.check_same()
    return jobs


def choose_configs(group: str, *, tasks: Sequence[str]) -> dict[str, Path]:
    """Return the configs of some tasks of a group; arguments and errors as of `choose_jobs`."""
    shipped = find_configs()
    found = {name.split("/")[1]: path for name, path in shipped.items() if name.split("/")[0] == group}
    if not found and Path(group).is_dir():
        found = {path.stem: path.resolve() for path in sorted(Path(group).glob("*.yaml"))}
    if not found:
        groups = ", ".join(dict.fromkeys(name.split("/")[0] for name in shipped))
        raise UserError(f"GROUP must be one of {groups}, or a folder of configs, got {group}")
    for task in tasks:
        if task not in found:
            raise UserError(f"tasks must be among {', '.join(found)}, got {task}")
    _check_different("tasks", tasks)
    return {task: found[task] for task in tasks}


def _check_different(what: str, values: Sequence[object]) -> None:
    if not values or len(set(values)) < len(values):
        raise UserError(f"{what} must be different ones, at least one, got {', '.join(map(str, values)) or 'none'}")


def run_jobs(
    jobs: Sequence[Job],
    *,
    write: Callable[[], list[Path]],
    say: Callable[[str], None],
    retry_failed: bool = False,
    wait: bool = False,
) -> bool:
    """Begin or continue every job that no other process holds, and write the tables after each.

    Args:
        jobs: As `choose_jobs` returns them.
        write: Writes the tables of the jobs, and returns their paths.
        say: Called with one line a job.
        retry_failed: Run what failed before once more.
        wait: Stay until no other process holds a run, and take over those of a process that died.

    Returns:
        Whether nothing failed and nothing was interrupted.
    """
    states: dict[str, State] = {}
    todo = list(jobs)
    while todo:
        for job in todo:
            state = job.act(retry_failed=retry_failed)
            if states.get(job.name) != state:
                say(describe_job(job, state))
            states[job.name] = state
            if state != "running":
                write()
        todo = [job for job in todo if states[job.name] == "running"] if wait else []
        if todo:
            time.sleep(POLL)
    for path in write():
        say(str(path))
    return not {"failed", "interrupted"} & set(states.values())


def describe_job(job: Job, state: State) -> str:
    """Return one line about a job."""
    told = {
        "finished": str(job.folder),
        "failed": f"{job.reason()} ({job.log}; --retry-failed runs it again)",
        "running": "by another process; with --wait the command stays until it ends",
        "interrupted": f"the same command continues it ({job.log})",
        "open": "not begun",
    }
    part = f", {job.part}" if job.part else ""
    return f"{job.task}, seed {job.seed}{part}: {state}, {told[state]}"
