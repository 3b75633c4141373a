"""The tables of a benchmark, as Markdown, LaTeX and JSON: our runs beside published ones, and each task in numbers."""

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tasks.bench.budgets import Budget, describe_budget
from tasks.bench.jobs import Job
from tasks.bench.published import FAILED, MARKS, Published, read_published
from tasks.results.formats import to_latex, to_markdown
from tasks.results.summary import SELECTED_ON_TEST, Summary, distinct, mark, metric
from tasks.runs.run_folder import write_text

OURS = "hyperseq"
DETAILS = ("task", "test", "n", "seeds", "data", "parameters", "seconds", "samples/s", "tokens/s", "memory")
GENERATED = "(generated): the data are drawn by the project; such a score is no result on the published files."

Run = dict[str, Any]
"""Content of `results.json`; of a run without one, `seed` and `state`."""


def write_tables(
    jobs: Sequence[Job], *, group: str, budget: Budget, out: Path, options: Sequence[str] = ()
) -> list[Path]:
    """Write `table.md`, `table.tex` and `table.json` of what the jobs reached so far, and return their paths.

    `options` are those behind `--`: with them, the trainings are not those of the configs.
    """
    runs = collect_runs(jobs)
    published = read_published(group)
    note = describe_budget(budget, group=group, tasks=runs)
    if options:
        note += f"\n\nOptions of every run beside its config: {' '.join(options)}"
    table = describe(runs, published, group=group, budget=budget, note=note)
    texts = {
        "table.md": format_text(runs, published, note=note, latex=False),
        "table.tex": format_text(runs, published, note=note, latex=True),
        "table.json": json.dumps(table, indent=2) + "\n",
    }
    return replace_files(texts, out=out)


def replace_files(texts: dict[str, str], *, out: Path) -> list[Path]:
    """Write texts by their names; of processes that end together, the last one's stay, whole."""
    for name, text in texts.items():
        own = out / f"{secrets.token_hex(8)}-{name}"
        write_text(own, text)
        os.replace(own, out / name)
    return [out / name for name in texts]


def collect_runs(jobs: Sequence[Job]) -> dict[str, list[Run]]:
    """Return what became of the seeds of each task."""
    runs: dict[str, list[Run]] = {}
    for job in jobs:
        run = job.results() or {"seed": job.seed, "state": job.state()}
        runs.setdefault(job.task, []).append(run | ({"part": job.part} if job.part else {}))
    return runs


def format_text(runs: dict[str, list[Run]], published: Published, *, note: str, latex: bool) -> str:
    """Return both tables and what must be said about them."""
    to_table = to_latex if latex else to_markdown
    compared = [*_own_rows(runs, published), *_published_rows(published)]
    columns = ["model", *published.columns, *(["average"] if published.average_over else []), "source"]
    parts = [note]
    if published.columns:
        parts.append(
            "Test accuracy in percent, mean ± standard deviation over the seeds. × stands for failed or not run."
        )
        parts.append(to_table(columns, [[row.get(column, "") or "–" for column in columns] for row in compared]))
        shown = {word for row in published.rows for word in row.get("marks", [])}
        parts += [f"({word}): {meaning}." for word, meaning in MARKS.items() if word in shown]
        parts += published.notes
    parts.append(to_table(list(DETAILS), [list(_details(task, each)) for task, each in runs.items()]))
    parts.append(
        "Seconds are those of one training with its validations, on the machine that ran it. Memory is the peak."
    )
    every = [run for each in runs.values() for run in each]
    if any(run.get("source") == "generated" for run in every):
        parts.append(GENERATED)
    if any(map(mark, every)):
        parts.append(SELECTED_ON_TEST)
    if latex:
        parts = [part if part.startswith("\\begin") else part.translate(_PROSE) for part in parts]
    else:
        parts = [part.replace("* The", "\\* The") for part in parts]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


# In prose of LaTeX, as in cells; × and ± are set in math mode.
_PROSE = str.maketrans({"%": "\\%", "&": "\\&", "_": "\\_", "#": "\\#", "±": "$\\pm$", "×": "$\\times$"})


def describe(
    runs: dict[str, list[Run]], published: Published, *, group: str, budget: Budget, note: str
) -> dict[str, Any]:
    """Return the tables as numbers, with every run."""
    tasks = {}
    for task, each in runs.items():
        values = [run[metric(run)] for run in each if run.get(metric(run)) is not None]
        tasks[task] = {
            "metric": next((metric(run) for run in each if "state" not in run), None),
            "mean": mean(values) if values else None,
            "std": stdev(values) if len(values) > 1 else None,
            "unfinished": {str(run["seed"]): run["state"] for run in each if "state" in run},
            "runs": [{name: value for name, value in run.items() if name != "config"} for run in each],
        }
    ours = [{name: cell for name, cell in row.items() if cell} for row in _own_rows(runs, published)]
    return {
        "group": group,
        "budget": budget,
        "note": note,
        "tasks": tasks,
        "ours": ours,
        "published": published.rows,
        "notes": published.notes,
    }


def _own_rows(runs: dict[str, list[Run]], published: Published) -> Iterator[dict[str, str]]:
    """Yield a row for each model: `listops_gru` is the column listops of the model gru."""
    models: dict[str, dict[str, list[Run]]] = {}
    for task, each in runs.items():
        bases = [name for name in published.columns if task == name or task.startswith(f"{name}_")]
        if bases:
            base = max(bases, key=len)
            models.setdefault(task[len(base) + 1 :], {})[base] = each
    for model, by_task in models.items():
        cells, scores = {}, {}
        for task, each in by_task.items():
            summary = Summary.of(each)
            states = {run.get("state") for run in each}
            if summary.score == "failed":
                # Runs that are open yet have not failed.
                cells[task] = "×" if states == {FAILED} else ""
                scores[task] = FAILED if states == {FAILED} else ""
            else:
                cells[task] = summary.score.replace("%", "") + summary.mark
                scores[task] = cells[task]
        average = published.average(scores)
        marked = (
            " (generated)" if any(r.get("source") == "generated" for each in by_task.values() for r in each) else ""
        )
        name = model or OURS
        yield {"model": name, **cells, "average": average and average + marked, "source": "these runs"}


def _published_rows(published: Published) -> Iterator[dict[str, str]]:
    for row in published.rows:
        scores = row["scores"]
        marks = f" ({', '.join(row['marks'])})" if "marks" in row else ""
        cells = {task: "×" if score == FAILED else score for task, score in scores.items()}
        average = row.get("average") or published.average(scores)
        yield {"model": row["model"] + marks, **cells, "average": average, "source": row["source"]}


def _details(task: str, runs: list[Run]) -> Iterator[str]:
    done, summary = [run for run in runs if "state" not in run], Summary.of(runs)
    yield task
    yield (summary.score if done or any(run["state"] == FAILED for run in runs) else "–") + summary.mark
    yield distinct(f"{run['n']:,}" for run in done if "n" in run)
    yield summary.seeds
    yield distinct(filter(None, map(_describe_data, done)))
    yield distinct(f"{run['parameters']:,}" for run in done)
    yield summary.seconds
    rates = [rate for run in done if (rate := samples_per_second(run))]
    yield f"{mean(rates):,.0f}" if rates else ""
    tokens = [rate for run in done if (rate := tokens_per_second(run))]
    yield f"{mean(tokens):,.0f}" if tokens else ""
    yield show_memory(done)


def show_memory(runs: Sequence[Run]) -> str:
    """Show the largest memory of the runs, that of the accelerator where there was one."""
    peaks = [run.get("memory", {}) for run in runs]
    for kind, name in (("device", "accelerator"), ("process", "process")):
        if largest := max((peak.get(kind, 0) for peak in peaks), default=0):
            return f"{largest / 2**30:.2f} GiB {name}"
    return ""


def _describe_data(run: Run) -> str:
    options = run["config"]["data"].get("init_args", {})
    # Shorter expressions of ListOps are another task. The released ones are what they are.
    is_drawn = "longest" in options and run.get("source") == "generated"
    limits = "{shortest} to {longest} symbols".format(**options) if is_drawn else None
    return ", ".join(filter(None, [run.get("source"), limits, options.get("protocol")]))


def samples_per_second(run: Run) -> float | None:
    """Return the training samples a second, validations included in the time; `None` without steps or time."""
    config = run["config"]
    batch_size = config["data"].get("init_args", {}).get("batch_size")
    if not batch_size or not run.get("seconds"):
        return None
    a_step = batch_size * (config["trainer"].get("accumulate_grad_batches") or 1)
    samples = run["steps"] * a_step
    if config["trainer"].get("limit_train_batches") in (None, 1, 1.0):
        # The last batch of an epoch may be a smaller one; the last epoch of a training may be cut short.
        epochs, steps = divmod(run["steps"], ceil(run["split"]["train"] / a_step))
        samples = epochs * run["split"]["train"] + steps * a_step
    return float(samples / run["seconds"])


def tokens_per_second(run: Run) -> float | None:
    """Return the positions a second; known where all samples have one size, as images do."""
    rate = samples_per_second(run)
    if rate is None or not run["config"]["data"]["class_path"].startswith("tasks.images."):
        return None
    for extent in run["input_shape"][1:]:
        rate *= extent
    return rate
