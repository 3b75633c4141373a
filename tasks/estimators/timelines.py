"""Answers along recordings: a row a window, merged segments, and a picture of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure

from tasks.errors import UserError
from tasks.estimators.audio import AudioClassifier
from tasks.estimators.predict_files import NONE, UNREADABLE, find_files, name_answers
from tasks.estimators.run import Run
from tasks.learning.heads import MultiLabelHead
from tasks.runs.run_folder import write_text
from tasks.training.plots import STYLE
from tasks.training.prediction_table import Columns, format_columns


class Segment(NamedTuple):
    """A stretch of a recording whose windows have one answer."""

    start: float
    """Beginning in seconds."""
    end: float
    """End in seconds; the next segment begins there."""
    predicted: str
    """Class, or `(none)`."""
    probability: float
    """Mean over the windows."""


@dataclass(frozen=True)
class Timelines:
    """The answers along recordings.

    Attributes:
        windows: One row a window: `name`, `start` and `end` in seconds, and the columns of the head.
        segments: The segments of each recording, by its name.
        class_names: One name a class.
    """

    windows: Columns
    segments: dict[str, list[Segment]]
    class_names: tuple[str, ...]

    def write_beside(self, path: Path) -> None:
        """Write the segments and the picture beside a file: `x_segments.csv` and `x_timeline.png` beside `x.csv`."""
        rows = [(name, *segment) for name, segments in self.segments.items() for segment in segments]
        columns: Columns = {"name": [row[0] for row in rows]}
        columns |= {key: [_plain(row[place]) for row in rows] for place, key in enumerate(Segment._fields, start=1)}
        write_text(path.with_name(f"{path.stem}_segments.csv"), format_columns(columns))
        plot_timelines(path.with_name(f"{path.stem}_timeline.png"), self.segments, class_names=self.class_names)


def predict_timelines(
    run: Run,
    files: Sequence[Path],
    *,
    report: Callable[[Path, Exception], None],
    window: float | None = None,
    hop: float | None = None,
    topk: int = 1,
    reject_below: float | None = None,
    native_rate: bool = False,
) -> Timelines:
    """Answer for each window of each recording that can be read.

    Args:
        run: A run of audio.
        files: Recordings, or folders of them.
        report: Called with each file that cannot be read, and the reason.
        window: Length in seconds; `None` for that of the training.
        hop: Step between windows in seconds; `None` for half a window.
        topk: As of `predict_files`.
        reject_below: As of `predict_files`.
        native_rate: As of `predict_files`.

    Raises:
        UserError: If the data of the run are no audio, or an option is out of range.
    """
    classifier = AudioClassifier(run, native_rate=native_rate)
    if isinstance(run.model.head, MultiLabelHead):
        raise UserError("window must be left out with MultiLabelHead, whose answer is not one class")
    window, hop = classifier.check_window(window, hop)
    columns: Columns = {}
    segments: dict[str, list[Segment]] = {}
    for file in find_files(run, files, report=report):
        try:
            places, outputs = classifier.compute_windows(file, window=window, hop=hop)
        except UNREADABLE as error:
            report(file, error)
            continue
        answers = name_answers(run, outputs, topk=topk, reject_below=reject_below)
        rows = {"name": [str(file)] * len(places)}
        rows |= {key: [_plain(place[end]) for place in places] for end, key in enumerate(("start", "end"))}
        for name, values in (rows | answers).items():
            columns.setdefault(name, []).extend(values)
        segments[str(file)] = merge_windows(places, answers["predicted"], [float(p) for p in answers["probability"]])
    return Timelines(columns, segments, run.class_names)


def merge_windows(
    places: Sequence[tuple[float, float]], predicted: Sequence[str], probabilities: Sequence[float]
) -> list[Segment]:
    """Merge neighbors of one class; where two classes meet, the segment ends in the middle of their overlap.

    Args:
        places: Start and end of each window of a recording in seconds, in order.
        predicted: The answer for each.
        probabilities: The probability of each answer.

    Example:
        >>> segments = merge_windows([(0, 1), (0.5, 1.5), (1, 2)], ["a", "a", "b"], [1.0, 0.5, 0.9])
        >>> [tuple(segment) for segment in segments]
        [(0, 1.25, 'a', 0.75), (1.25, 2, 'b', 0.9)]
    """
    segments: list[Segment] = []
    first, start = 0, places[0][0]
    for last in range(len(places)):
        if last + 1 < len(places) and predicted[last + 1] == predicted[first]:
            continue
        end = places[last][1] if last + 1 == len(places) else (places[last][1] + places[last + 1][0]) / 2
        mean = sum(probabilities[first : last + 1]) / (last + 1 - first)
        segments.append(Segment(start, end, predicted[first], mean))
        first, start = last + 1, end
    return segments


def plot_timelines(path: Path, segments: Mapping[str, Sequence[Segment]], *, class_names: Sequence[str]) -> None:
    """Draw the segments of each recording over its seconds, a row a class; darker is more probable."""
    shown = {name: list(found) for name, found in segments.items()}
    rows = [name for name in (*class_names, NONE) if any(each.predicted == name for s in shown.values() for each in s)]
    with matplotlib.rc_context(STYLE | {"axes.grid.axis": "x"}):
        height = 0.28 * len(rows) + 0.75
        figure = Figure(figsize=(10, height * len(shown) + 0.3), layout="constrained")
        grid = figure.subplots(len(shown), 1, squeeze=False)
        for axes, (name, found) in zip(grid[:, 0], shown.items(), strict=True):
            for start, end, predicted, probability in found:
                # A probability of 0 would be invisible.
                color = "#999999" if predicted == NONE else "#1f77b4"
                axes.barh(rows.index(predicted), end - start, left=start, color=color, alpha=0.2 + 0.8 * probability)
            axes.set_yticks(range(len(rows)), rows)
            axes.set(xlim=(found[0].start, found[-1].end), ylim=(len(rows) - 0.5, -0.5))
            axes.set_title(Path(name).name, fontsize=9)
        grid[-1, 0].set_xlabel("seconds; darker is more probable")
        figure.savefig(path, dpi=120)


def _plain(value: float | str) -> str:
    return f"{value:.7g}" if isinstance(value, float) else value
