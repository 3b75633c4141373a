"""What was measured, as JSON for programs and as a Markdown table for people."""

import json
import platform
import subprocess
from pathlib import Path

import torch

from benchmarks.timing import Timing
from tasks.runs.provenance import processor_name

Rows = list[dict[str, object]]


def environment() -> dict[str, object]:
    """Describe machine, versions and commit."""
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def rows_of(case: str, timings: dict[str, Timing], *, reference: str | None, **shape: object) -> Rows:
    """Make one row per contender, with its ratio to the reference of the same run."""
    floor = timings[reference].median if reference else None
    return [
        {
            "case": case,
            "contender": name,
            **shape,
            "ms": timing.as_dict(),
            "ratio": round(timing.median / floor, 3) if floor else None,
        }
        for name, timing in timings.items()
    ]


def write(rows: Rows, memory: Rows, folder: Path) -> None:
    """Write ``results.json`` and ``results.md`` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"environment": environment(), "timings": rows, "memory": memory}
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "results.md").write_text(markdown(document))


def markdown(document: dict[str, object]) -> str:
    """Render the document as tables."""
    facts = document["environment"]
    assert isinstance(facts, dict)
    lines = [
        "# Speed and memory",
        "",
        f"{facts['device']}, {facts['threads']} threads, torch {facts['torch']}, commit `{facts['commit'][:9]}`"
        f"{' with uncommitted changes' if facts['uncommitted_changes'] else ''}. Median milliseconds, quartiles in "
        "brackets; the ratio is to the floor (bare transforms and matrix products) of the same run.",
        "",
        "| case | D | L | contender | ms | ratio to floor |",
        "|---|---|---|---|---|---|",
    ]
    timings, memory = document["timings"], document["memory"]
    assert isinstance(timings, list) and isinstance(memory, list)
    for row in timings:
        ms = row["ms"]
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        lines.append(
            f"| {row['case']} | {row['channels']} | {row['length']:,} | {row['contender']} "
            f"| {ms['median']:.1f} ({ms['lower']:.1f}-{ms['upper']:.1f}) | {ratio} |"
        )
    lines += ["", "| SFNE block, training | D | L | peak bytes per token |", "|---|---|---|---|"]
    lines += [
        f"| {'compiled' if row['compiled'] else 'as it is'} | {row['channels']} | {row['length']:,} "
        f"| {row['bytes_per_token']:,.0f} |"
        for row in memory
    ]
    return "\n".join(lines) + "\n"


def _git(*arguments: str) -> str | None:
    finished = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return finished.stdout.strip() if finished.returncode == 0 else None
