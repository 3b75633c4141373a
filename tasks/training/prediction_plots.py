"""Pictures of single predictions: sequences with the positions that counted, and numbers against their truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasks.training.plots import INK, LONGEST_LINE, STYLE, TEST, TRAIN, VAL

COLUMNS, MOST_LINES, BINS = 3, 3, 500
MOST_TARGETS = 6


@dataclass(frozen=True)
class DrawnSequence:
    """A sequence and what the network said about it.

    Attributes:
        title: Its name, its class and the prediction.
        x: The input, `(C, L)`.
        fast_weights: W of each block, `(C_i, F)`; empty for a network without fast weights.
        right: Whether the prediction is right; `None` where it is neither right nor wrong.
    """

    title: str
    x: Tensor
    fast_weights: Sequence[Tensor] = ()
    right: bool | None = None


def plot_sequences(path: Path, sequences: Sequence[DrawnSequence], *, sample_rate: int | None = None) -> None:
    """Draw sequences, and below each the mean magnitude of its fast weights W = K ⊙ X: which positions counted.

    Up to three channels are lines, and more are the rows of an image. Long lines are drawn by their smallest and
    largest values. Each block is a row of the strip, scaled by its largest value. Positions are seconds with
    `sample_rate`, in samples a second.
    """
    rows, columns = ceil(len(sequences) / COLUMNS), min(COLUMNS, len(sequences))
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(4.2 * columns, 2.7 * rows + 0.4), layout="constrained")
        cells = figure.subfigures(rows, columns, squeeze=False).flatten()
        for cell, sequence in zip(cells, sequences, strict=False):
            _draw_sequence(cell, sequence, sample_rate)
        below = ", and below them |K ⊙ X| of each block" if any(each.fast_weights for each in sequences) else ""
        figure.suptitle(f"Inputs{below}", fontsize=11, fontweight="bold")
        figure.savefig(path, dpi=110)


def plot_scatter(path: Path, targets: Tensor, predicted: Tensor, *, names: Sequence[str]) -> None:
    """Draw predicted against true numbers, `(N, K)` each, a panel for each of the first targets."""
    shown = min(targets.shape[1], MOST_TARGETS)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.9 * min(shown, COLUMNS), 3.7 * ceil(shown / COLUMNS)), layout="constrained")
        panels = figure.subplots(ceil(shown / COLUMNS), min(shown, COLUMNS), squeeze=False).flatten()
        for axes, true, found, name in zip(panels, targets.mT, predicted.mT, names, strict=False):
            low, high = float(min(true.min(), found.min())), float(max(true.max(), found.max()))
            axes.plot([low, high], [low, high], color=INK, linestyle=":", linewidth=1)
            axes.scatter(true, found, s=12, color=TRAIN, alpha=0.6, linewidths=0)
            error = float((true - found).abs().mean())
            axes.set(xlabel="true", ylabel="predicted", title=f"Test, {name}\nmean absolute error {error:.3g}")
        for axes in panels[shown:]:
            axes.set_visible(False)
        figure.savefig(path, dpi=120)


def _draw_sequence(cell: Figure, sequence: DrawnSequence, sample_rate: int | None) -> None:
    values = sequence.x.detach().float().cpu().numpy()
    step = 1 / (sample_rate or 1)
    # A position is the middle of its cell in image and strip.
    first, last = -0.5 * step, (values.shape[1] - 0.5) * step
    ratios = (4, 0.35 + 0.25 * len(sequence.fast_weights)) if sequence.fast_weights else (1,)
    top, *strip = cell.subplots(len(ratios), 1, height_ratios=ratios, squeeze=False, sharex=True)[:, 0]
    if len(values) > MOST_LINES:
        top.imshow(values, aspect="auto", origin="lower", cmap="viridis", extent=(first, last, 0, len(values)))
        top.set_ylabel("channel", fontsize=8)
    else:
        for line, color in zip(values, (TRAIN, VAL, TEST), strict=False):
            _draw_line(top, line, step, color)
    color = {True: "#2e7d32", False: "#b23b3b", None: INK}[sequence.right]
    top.set_title(sequence.title, fontsize=8.5, color=color)
    top.set_xlim(first, last)
    for axes in strip:
        image = np.stack([_scale_to_bins(weights) for weights in sequence.fast_weights])
        axes.imshow(image, aspect="auto", cmap="magma", vmin=0, vmax=1, extent=(first, last, len(image) + 0.5, 0.5))
        axes.set_yticks(range(1, len(image) + 1))
        axes.set_ylabel("block", fontsize=8)
    for axes in (top, *strip):
        axes.tick_params(labelsize=7)
    (strip[-1] if strip else top).set_xlabel("seconds" if sample_rate else "position", fontsize=8)


def _draw_line(axes: Axes, line: np.ndarray, step: float, color: str) -> None:
    places = step * np.arange(len(line))
    if len(line) <= LONGEST_LINE:
        axes.plot(places, line, color=color, linewidth=0.9)
        return
    edges = np.linspace(0, len(line), BINS + 1).round().astype(int)[:-1]
    low, high = (extreme.reduceat(line, edges) for extreme in (np.minimum, np.maximum))
    axes.fill_between(places[edges], low, high, color=color, linewidth=0.6, alpha=0.9)


def _scale_to_bins(weights: Tensor) -> np.ndarray:
    """Return the mean magnitude over the channels at evenly spaced positions, scaled to a maximum of 1."""
    magnitude = weights.detach().float().abs().mean(dim=0).cpu().numpy()
    edges = np.linspace(0, len(magnitude), BINS + 1)[:-1].astype(int)
    # Of a short sequence each position fills several bins; of a long one each bin is a mean of positions.
    starts = np.unique(edges)
    means = np.add.reduceat(magnitude, starts) / np.diff([*starts, len(magnitude)])
    binned: np.ndarray = means[np.searchsorted(starts, edges)]
    peak = binned.max()
    return binned / peak if peak > 0 else binned
