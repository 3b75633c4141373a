"""The table of runs in the terminal, and as Markdown, LaTeX, CSV and JSON."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tasks.results.runs_table import COLUMNS, Run, describe_groups, find_newest, list_all, list_newest
from tasks.results.summary import SELECTED_ON_TEST

Format = Literal["markdown", "latex", "csv", "json"]
FORMATS: tuple[Format, ...] = ("markdown", "latex", "csv", "json")
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"±": "$\\pm$", "×": "$\\times$", "–": "--", "~": "\\textasciitilde{}"}
)


def format_results(groups: Sequence[Sequence[Run]], *, every_run: bool, to: Format) -> str:
    """Return the results as text. Markdown and LaTeX are tables for people; CSV and JSON hold the numbers as they are.

    Args:
        groups: Runs by name, as `find_groups` returns them.
        every_run: Show every run, and in Markdown and LaTeX the means; otherwise the newest finished run of each name.
        to: The format.
    """
    if to in ("csv", "json"):
        described = describe_groups(groups if every_run else [[find_newest(runs)] for runs in groups])
        return json.dumps(described, indent=2) + "\n" if to == "json" else _to_csv(described)
    rows = [row for rows in list_all(groups) for row in rows] if every_run else list_newest(groups)
    columns = [*COLUMNS, *(["differs"] if any("differs" in row for row in rows) else [])]
    cells = [[row.get(column, "") for column in columns] for row in rows]
    return to_markdown(columns, cells) if to == "markdown" else to_latex(columns, cells)


def print_results(console: Console, groups: Sequence[Sequence[Run]], *, every_run: bool) -> None:
    """Print the table; names and notes are folded where the terminal is narrow, numbers are not."""
    sections = list_all(groups) if every_run else [list_newest(groups)]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in COLUMNS:
        folds = column in ("run", "seed")
        table.add_column(column, overflow="fold", no_wrap=not folds, justify="left" if column == "run" else "right")
    notes = []
    for rows in sections:
        for row in rows:
            is_mean = every_run and row is rows[-1]
            table.add_row(*(row[column] for column in COLUMNS), style="bold" if is_mean else "", end_section=is_mean)
        if "differs" in rows[-1]:
            notes.append((", ".join(row["run"] for row in rows[:-1]), rows[-1]["differs"]))
    console.print(table, soft_wrap=False)
    if notes:
        console.print("Runs of one name that differ in more than the seed have a mean of their own:")
    for runs, differs in notes:
        console.print(f"  {runs}: {differs}", soft_wrap=False)
    if any(row["test"].endswith("*") for rows in sections for row in rows):
        console.print(SELECTED_ON_TEST)


def to_markdown(columns: list[str], cells: list[list[str]]) -> str:
    """Return a table as Markdown."""
    lines = [columns, ["---" for _ in columns], *([cell.replace("|", r"\|") for cell in line] for line in cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(columns: list[str], cells: list[list[str]]) -> str:
    """Return a table as LaTeX."""
    heading, *body = (" & ".join(cell.translate(LATEX) for cell in line) + r" \\" for line in [columns, *cells])
    begin, end = rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}", r"\end{tabular}"
    return "\n".join([begin, r"\hline", heading, r"\hline", *body, r"\hline", end]) + "\n"


def _to_csv(described: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    rows = [
        {**run, "differs": json.dumps(group["differs"]) if group["differs"] else ""}
        for group in described
        for run in group["runs"]
    ]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
