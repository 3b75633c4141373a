"""Pictures of a run."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, isfinite, log10, nan
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from torch import Tensor

from tasks.training.callbacks.epoch_log import Row

TRAIN, VAL, TEST, INK = "#4c72b0", "#dd8452", "#55a868", "#333333"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
}
CHANNELS_SHOWN = 8
# A longer kernel is drawn as envelope, zoom and spectrum: a line has fewer pixels than the kernel has positions.
LONGEST_LINE, LONG_CHANNELS_SHOWN, BINS, ZOOM = 1000, 3, 400, 200
# A matrix of more classes has no room for its names and counts.
MOST_CLASSES, PAIRS_SHOWN = 50, 30


def plot_curves(
    path: Path,
    rows: Sequence[Row],
    *,
    metrics: Sequence[str],
    best_epoch: int | None,
    test: Mapping[str, float] | None,
) -> None:
    """Draw the first two metrics and the learning rate over the epochs.

    `best_epoch` is `None` where no validation chose an epoch. `test` holds the metrics of the kept weights, if any.
    """
    shown = metrics[:2]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.9 + 4.1 * len(shown), 3.6), layout="constrained")
        *panels, rate = figure.subplots(1, len(shown) + 1, width_ratios=(*(4 for _ in shown), 2.6), squeeze=False)[0]
        for axes, metric in zip(panels, shown, strict=True):
            scale = 100.0 if metric == "accuracy" else 1.0
            _draw_pair(axes, rows, metric, scale=scale)
            if test is not None:
                axes.axhline(scale * test[metric], color=TEST, linestyle="--", linewidth=1.2, label="test")
            axes.set(title=metric.replace("_", " ").capitalize(), ylabel="percent" if metric == "accuracy" else "")
            if metric == "cross_entropy":
                axes.set(ylabel="nats", yscale="log")
                axes.yaxis.set_major_locator(FixedLocator(choose_log_ticks(*axes.get_ylim())))
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_locator(NullLocator())
            if best_epoch is not None:
                axes.axvline(best_epoch, color=INK, linestyle=":", linewidth=1, label="best epoch")
        # Outside the panels: no line crosses it.
        if panels:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        _draw_rates(rate, rows)
        rate.set(title="Learning rate at epoch end", ylim=(0, None))
        for axes in (*panels, rate):
            axes.set_xlabel("epoch")
            axes.set_xlim(rows[0]["epoch"] - 0.5, rows[-1]["epoch"] + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        figure.savefig(path, dpi=120)


def choose_log_ticks(low: float, high: float) -> list[float]:
    """Choose at least three round numbers from `low` to `high`, as few as a logarithmic axis needs.

    Example:
        >>> choose_log_ticks(0.01, 3), choose_log_ticks(0.8, 6)
        ([0.01, 0.1, 1.0], [1.0, 2.0, 5.0])
    """
    decades = [10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1)]
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = [round(digit * decade, 15) for decade in decades for digit in digits]
        if len(inside := [tick for tick in ticks if low <= tick <= high]) >= 3:
            return inside
    even = MaxNLocator(5, min_n_ticks=3).tick_values(low, high)
    return [float(tick) for tick in even if low <= tick <= high]


def plot_confusion_matrix(path: Path, counts: Tensor, *, class_names: Sequence[str]) -> None:
    """Draw a confusion matrix; color is the share of the true class, the numbers are counts `(true, predicted)`.

    Of many classes, the pairs that are confused most often are drawn instead.
    """
    size, table = len(class_names), counts.numpy()
    if size > MOST_CLASSES:
        _plot_worst_pairs(path, table, class_names)
        return
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        side = min(max(3.6, 0.42 * size + 1.6), 16)
        figure = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for true, predicted in np.argwhere(table > 0):
            color = "white" if share[true, predicted] > 0.5 else INK
            axes.text(predicted, true, f"{table[true, predicted]}", ha="center", va="center", color=color, fontsize=8)
        longest = max(len(name) for name in class_names)
        axes.set_xticks(range(size), class_names, rotation=90 if longest > 3 else 0)
        axes.set_yticks(range(size), class_names)
        right = int(np.trace(table))
        axes.set(xlabel="predicted", ylabel="true", title=f"Test: {right} of {table.sum()} right")
        axes.spines[:].set_visible(False)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
        figure.savefig(path, dpi=120)


def _plot_worst_pairs(path: Path, table: np.ndarray, class_names: Sequence[str]) -> None:
    wrong = table - np.diag(np.diag(table))
    pairs = [divmod(int(pair), len(table)) for pair in np.argsort(-wrong, axis=None, kind="stable")[:PAIRS_SHOWN]]
    pairs = [pair for pair in pairs if wrong[pair]]
    with matplotlib.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure = Figure(figsize=(8, 0.24 * len(pairs) + 1.4), layout="constrained")
        axes = figure.subplots()
        places, widths = range(len(pairs)), [int(wrong[pair]) for pair in pairs]
        axes.barh(places, widths, color=VAL)
        for place, (true, predicted) in enumerate(pairs):
            axes.text(wrong[true, predicted], place, f" {wrong[true, predicted]} of {table[true].sum()}", va="center")
        axes.set_yticks(places, [f"{class_names[true]} as {class_names[predicted]}" for true, predicted in pairs])
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        told = f"{len(pairs)} pairs confused most often" if pairs else "no pair is confused"
        axes.set(xlabel="samples of the true class", title=f"Test: {np.trace(table)} of {table.sum()} right; {told}")
        figure.savefig(path, dpi=120)


def plot_hyper_kernels(path: Path, hyper_kernels: Sequence[Tensor]) -> None:
    """Draw the global hyper-kernels: one row a block, some channels in each.

    Each kernel is `(1, C, *S)`. Of more than two spatial axes, the middle of the others is shown. Long sequences are
    drawn as envelope, zoom and spectrum.
    """
    kernels = [_at_most_two_axes(kernel[0].detach().float().cpu().numpy()) for kernel in hyper_kernels]
    if any(kernel.ndim == 2 and kernel.shape[1] > LONGEST_LINE for kernel in kernels):
        _plot_long_kernels(path, kernels)
        return
    columns = min(CHANNELS_SHOWN, max(len(kernel) for kernel in kernels))
    with matplotlib.rc_context(STYLE):
        # The title needs some width, however few channels there are.
        shape = (max(1.55 * columns + 0.6, 6.5), 1.55 * len(kernels) + 0.7)
        figure = Figure(figsize=shape, layout="constrained")
        grid = figure.subplots(len(kernels), columns, squeeze=False)
        for block, (kernel, row) in enumerate(zip(kernels, grid, strict=True), start=1):
            chosen = np.linspace(0, len(kernel) - 1, min(columns, len(kernel))).round().astype(int)
            limit = float(np.abs(kernel[chosen]).max())
            limit = limit if isfinite(limit) and limit > 0 else 1.0
            for axes in row[len(chosen) :]:
                axes.set_visible(False)
            for channel, axes in zip(chosen, row, strict=False):
                _draw_kernel(axes, kernel[channel], limit)
                axes.set_title(f"channel {channel + 1}", fontsize=8, fontweight="normal")
            row[0].set_ylabel(f"block {block}\n±{limit:.2g}", fontsize=9)
        _number_positions(grid[-1], kernels[-1].shape[1:])
        title = "Global hyper-kernels over the input positions"
        figure.suptitle(title, fontsize=11, fontweight="bold")
        figure.savefig(path, dpi=120)


def _plot_long_kernels(path: Path, kernels: Sequence[np.ndarray]) -> None:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 1.9 * len(kernels) + 0.9), layout="constrained")
        grid = figure.subplots(len(kernels), 3, squeeze=False, width_ratios=(5, 3, 3))
        for block, (kernel, row) in enumerate(zip(kernels, grid, strict=True), start=1):
            chosen = np.linspace(0, len(kernel) - 1, min(LONG_CHANNELS_SHOWN, len(kernel))).round().astype(int)
            length = kernel.shape[1]
            edges = np.linspace(0, length, min(BINS, length) + 1).round().astype(int)
            # The zoom surrounds the largest value.
            peak = int(np.nan_to_num(np.abs(kernel[chosen])).max(axis=0).argmax())
            start = min(max(peak - ZOOM // 2, 0), max(length - ZOOM, 0))
            zoom = np.arange(start, min(start + ZOOM, length))
            for channel, color in zip(chosen, (TRAIN, VAL, TEST), strict=False):
                line, name = kernel[channel], f"channel {channel + 1}"
                low, high = (extreme.reduceat(line, edges[:-1]) for extreme in (np.minimum, np.maximum))
                row[0].fill_between(edges[:-1], low, high, color=color, alpha=0.55, linewidth=0)
                row[1].plot(zoom, line[zoom], color=color, linewidth=1)
                power = np.abs(np.fft.rfft(line))
                # Positions alone may be constant: a spectrum of zeros has no logarithm.
                row[2].plot(
                    np.fft.rfftfreq(length), 20 * np.log10(power + 1e-12), color=color, linewidth=0.7, label=name
                )
            row[0].set_ylabel(f"block {block}")
            row[0].set_xlim(0, length)
            row[0].axvspan(zoom[0], zoom[-1], color=INK, alpha=0.12, linewidth=0)
            # Kernels are smooth: their spectrum leaves this corner free.
            row[2].legend(loc="upper right", fontsize=7)
            row[2].set_ylim(max(row[2].get_ylim()[0], row[2].get_ylim()[1] - 120), None)
            for axes in row:
                axes.tick_params(labelsize=7)
        titles = ("envelope: smallest to largest value", f"the {ZOOM} positions in gray", "spectrum, dB")
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title, fontsize=9, fontweight="normal")
        for axes, unit in zip(grid[-1], ("position", "position", "cycles a position"), strict=True):
            axes.set_xlabel(unit, fontsize=8)
        figure.suptitle("Global hyper-kernels over the input positions", fontsize=11, fontweight="bold")
        figure.savefig(path, dpi=120)


def _draw_pair(axes: Axes, rows: Sequence[Row], metric: str, *, scale: float) -> None:
    for split, color in (("train", TRAIN), ("val", VAL)):
        epochs, values = _series(rows, f"{split}/{metric}")
        axes.plot(epochs, scale * values, color=color, marker=_marker(rows), markersize=3, label=split)


def _draw_rates(axes: Axes, rows: Sequence[Row]) -> None:
    series = {name.removeprefix("lr/"): _series(rows, name) for name in rows[0] if name.startswith("lr/")}
    drawn: list[np.ndarray] = []
    for name, (epochs, rates) in series.items():
        # Groups that share their rate share their line.
        if not any(np.array_equal(rates, other) for other in drawn):
            axes.plot(epochs, rates, marker=_marker(rows), markersize=3, label=name)
            drawn.append(rates)
    if len(drawn) > 1:
        axes.legend()


def _series(rows: Sequence[Row], name: str) -> tuple[np.ndarray, np.ndarray]:
    points = [(row["epoch"], row[name]) for row in rows if isfinite(row.get(name, nan))]
    return tuple(np.array(points).reshape(-1, 2).T)


def _marker(rows: Sequence[Row]) -> str:
    return "o" if len(rows) <= 40 else ""


def _at_most_two_axes(kernel: np.ndarray) -> np.ndarray:
    while kernel.ndim > 3:
        kernel = kernel[..., kernel.shape[-1] // 2]
    return kernel


def _draw_kernel(axes: Axes, kernel: np.ndarray, limit: float) -> None:
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    if kernel.ndim == 2:
        axes.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.spines[:].set_visible(True)
        return
    axes.axhline(0, color="#cccccc", linewidth=0.8)
    axes.plot(kernel, color=TRAIN, linewidth=1.1)
    axes.set_ylim(-1.08 * limit, 1.08 * limit)
    axes.margins(x=0.02)


def _number_positions(row: Sequence[Axes], size: tuple[int, ...]) -> None:
    if len(size) > 1:
        return
    for axes in row:
        axes.set_xticks([0, size[0] - 1])
        axes.tick_params(labelsize=7)
        axes.set_xlabel("position", fontsize=7, labelpad=-6)
