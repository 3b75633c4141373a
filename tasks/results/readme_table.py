"""The README's table of published results."""

from collections.abc import Iterable
from typing import Any

from tasks.errors import UserError
from tasks.results.summary import SELECTED_ON_TEST, Summary, distinct, mark

BEGIN, END = "<!-- results: written by hyperseq publish -->", "<!-- end of results -->"
COLUMNS = ("task", "config", "parameters", "test", "n", "seeds", "seconds", "device", "commit")
NOTE = (
    "Mean and standard deviation over the seeds, on the n samples of the test split; the epoch was chosen on the\n"
    "validation split, or is the last one where a config has none. Seconds are those of one training. Every seed that\n"
    "was run is named; each has a file in [results](results)."
)


def readme_with_table(readme: str, records: list[dict[str, Any]]) -> str:
    """Return the text of the README with the table of the records in place of what stood between its two marks.

    Raises:
        UserError: If one of the marks is missing or stands there twice.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise UserError(f"README.md must hold one line {BEGIN} and later one line {END}")
    before, rest = readme.split(BEGIN)
    table = results_table(records)
    return before + BEGIN + "\n" + (f"\n{table}\n" if table else "") + END + rest.split(END)[1]


def results_table(records: list[dict[str, Any]]) -> str:
    """Render one row a task as Markdown; return an empty text without records."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for record in sorted(records, key=lambda record: (record["config"], record["seed"])):
        tasks.setdefault(record["task"], []).append(record)
    if not tasks:
        return ""
    lines = [_line(COLUMNS), _line("---" for _ in COLUMNS), *(_line(_row(runs)) for runs in tasks.values())]
    notes = [NOTE, f"\\{SELECTED_ON_TEST}"] if any(map(mark, records)) else [NOTE]
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"


def _row(runs: list[dict[str, Any]]) -> Iterable[str]:
    done = [run for run in runs if "failed" not in run]
    summary, config, changed = Summary.of(runs), runs[0]["config"], runs[0]["changed"]
    yield runs[0]["task"] + distinct(f" ({'x'.join(map(str, run['input_shape']))})" for run in done)
    yield ", ".join([f"[{config}]({config})", *(f"`{name}` {value}" for name, value in changed.items())])
    yield distinct(f"{run['parameters']:,}" for run in done)
    yield summary.score + summary.mark.replace("*", "\\*")
    yield distinct(f"{run['n']:,}" for run in done)
    yield summary.seeds
    yield summary.seconds
    yield distinct(map(_device, done))
    yield distinct((run["commit"] or "unknown")[:7] + (" and changes" if run["dirty"] else "") for run in done)


def _device(run: dict[str, Any]) -> str:
    if not run["device"].startswith("cpu"):
        return run["device"]
    return f"{run['device']}, {run['torch_threads']} {'thread' if run['torch_threads'] == 1 else 'threads'}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
