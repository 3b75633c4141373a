"""Results that others published, read from `published.json`: scores as printed, each row with its source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

FAILED = "failed"

MARKS = {
    "validation": "measured on the validation split",
    "test-selected": "the epoch was chosen on the test split",
    "color": "color images where others use grayscale",
    "approximate": "rounded by its authors",
    "second-hand": "read in another paper's table",
}
"""What a word in brackets behind the name of a model means."""


@dataclass(frozen=True)
class Published:
    """What others published on one group.

    Attributes:
        columns: Tasks, in the order of the table.
        notes: Caveats below the table.
        rows: `model`, `scores` by task in percent, `source`, and where needed `marks` and the printed `average`.
        average_over: Tasks of the average; none where the group has no customary one.
        failed_counts_as: Score of a failed task in the average.
    """

    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    average_over: list[str] = field(default_factory=list)
    failed_counts_as: dict[str, str] = field(default_factory=dict)

    def average(self, scores: Mapping[str, str]) -> str:
        """Return the average of one model as text; it is empty where a task is missing.

        Example:
            >>> lra = read_published("lra")
            >>> lra.average({**dict.fromkeys(lra.average_over, "80 ± 1"), "pathx": "failed"})
            '75.00'
        """
        values = []
        for task in self.average_over:
            score = scores.get(task, "")
            if score == FAILED:
                score = self.failed_counts_as.get(task, "")
            if not score:
                return ""
            values.append(float(score.split()[0]))
        return f"{mean(values):.2f}" if values else ""


def read_published(group: str) -> Published:
    """Return what is published on a group; on an unknown one, nothing."""
    content = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return Published(**content.get(group, {}))
