"""The comparison as a plot of accuracy against seconds, and as a Markdown table."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.results.summary import Summary, mean_and_spread

# Okabe and Ito's colors, which color-blind people tell apart; the marker says it a second time.
STYLES = {
    "terminator": ("Terminator", "#D55E00", "o"),
    "transformer": ("Transformer", "#0072B2", "s"),
    "gru": ("GRU", "#009E73", "^"),
    "dilated": ("dilated convolutions", "#CC79A7", "D"),
}
SHARED = ("trained_by", "seconds", "warmup", "gradient_clip", "ema_decay", "label_smoothing", "batch_size",
          "split_sizes")  # fmt: skip

Documents = list[dict[str, Any]]


def write_report(folder: Path) -> str:
    """Write the table and the plot beside the folder, as `<folder>.md` and `<folder>.png`.

    Args:
        folder: Where the JSON files are.

    Returns:
        The table.

    Raises:
        ValueError: If there is none, or if they were not trained alike.
    """
    documents = read_documents(folder)
    plot(folder.with_suffix(".png"), documents)
    text = markdown(documents, picture=f"{folder.name}.png")
    folder.with_suffix(".md").write_text(text)
    return text


def read_documents(folder: Path) -> Documents:
    """Read the results, the networks in the order of the styles and then by seed.

    Args:
        folder: Where the JSON files are.

    Returns:
        Their contents.

    Raises:
        ValueError: If there is none, or if they were not trained alike.
    """
    documents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not documents:
        raise ValueError(f"folder must hold results of the comparison, got {folder} without any")
    conditions = [_conditions(document) for document in documents]
    for document, found in zip(documents, conditions, strict=True):
        for name, wanted in conditions[0].items():
            if found[name] != wanted:
                raise ValueError(
                    f"{name} must be the same in all results, got {wanted} of {documents[0]['network']} and "
                    f"{found[name]} of {document['network']}"
                )
    order = list(STYLES)
    return sorted(documents, key=lambda document: (order.index(document["network"]), document["seed"]))


def markdown(documents: Documents, *, picture: str) -> str:
    """Render the results as a table with what they depend on.

    Args:
        documents: The results.
        picture: File name of the plot.

    Returns:
        Markdown.
    """
    first = documents[0]
    facts = first["environment"]
    commits = sorted({_commit(document) for document in documents})
    sizes = first["split_sizes"]
    averaged = f"weights averaged with decay {first['ema_decay']:g}, " if first["ema_decay"] is not None else ""
    lines = [
        "# Accuracy within equal seconds",
        "",
        f"![Validation accuracy against seconds of training]({picture})",
        "",
        f"Sequential MNIST ({sizes['train']:,} training, {sizes['val']:,} validation, {sizes['test']:,} test images), "
        f"{first['seconds']:,.0f} seconds of training for each network (validation is not counted), "
        f"{facts['device']}, {facts['threads']} {'thread' if facts['threads'] == 1 else 'threads'}, "
        f"torch {facts['torch']}, commit {', '.join(commits)}.",
        f"Each network was trained by {first['trained_by']}: AdamW, "
        f"one cycle over the seconds, batches of {first['batch_size']}, label smoothing "
        f"{first['label_smoothing']:g}, gradients clipped at {first['gradient_clip']:g}, {averaged}the weights at the "
        "end are tested, once. The learning rates are each network's own.",
        "",
        "| network | parameters | learning rate | steps | samples a second | at half time | test accuracy | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, group in _groups(documents).items():
        last = [document["curve"][-1] for document in group]
        summary = Summary.of([_outcome(document) for document in group])
        rates = sorted({f"{document['lr']:g}" for document in group})
        lines.append(
            f"| {STYLES[name][0]} | {group[0]['parameters']:,} | {', '.join(rates)} "
            f"| {mean(point['steps'] for point in last):,.0f} "
            f"| {mean(point['samples'] / point['seconds'] for point in last):,.0f} "
            f"| {mean_and_spread([_half_time(document) for document in group])} "
            f"| {summary.score} | {summary.seeds} |"
        )
    return "\n".join(lines) + "\n"


def plot(path: Path, documents: Documents) -> None:
    """Draw validation accuracy against seconds of training, one line a run, named where it ends.

    Args:
        path: File to write.
        documents: The results.
    """
    style = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
             "grid.color": "#e6e6e6"}  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.subplots()
        for document in documents:
            _, color, marker = STYLES[document["network"]]
            seconds = [0.0, *(point["seconds"] for point in document["curve"])]
            # Before the first step: a guess.
            accuracies = [10.0, *(100 * point["accuracy"] for point in document["curve"])]
            axes.plot(seconds, accuracies, color=color, marker=marker, markersize=4, linewidth=1.6)
        budget = documents[0]["seconds"]
        axes.set(xlabel="seconds of training", ylabel="validation accuracy (percent)", xlim=(0, 1.01 * budget))
        axes.set(ylim=(0, 101), title="Sequential MNIST, networks of the same size")
        _name_lines(axes, documents)
        figure.savefig(path, dpi=150)


def _name_lines(axes: Axes, documents: Documents) -> None:
    ends = {
        name: 100 * mean(document["curve"][-1]["accuracy"] for document in group)
        for name, group in _groups(documents).items()
    }
    height, apart = None, 5.0
    for name, end in sorted(ends.items(), key=lambda item: -item[1]):
        # Names that would overlap move down.
        height = end if height is None else min(end, height - apart)
        text, color, _ = STYLES[name]
        axes.annotate(text, (1.0, height), xycoords=("axes fraction", "data"), xytext=(8, 0), color=color,
                      textcoords="offset points", va="center", fontweight="bold", annotation_clip=False)  # fmt: skip


def _groups(documents: Documents) -> dict[str, Documents]:
    groups: dict[str, Documents] = {}
    for document in documents:
        groups.setdefault(document["network"], []).append(document)
    return groups


def _conditions(document: dict[str, Any]) -> dict[str, Any]:
    facts = document["environment"]
    return {name: document[name] for name in SHARED} | {name: facts[name] for name in ("device", "threads", "torch")}


def _half_time(document: dict[str, Any]) -> float:
    curve = document["curve"]
    reached = (point["accuracy"] for point in curve if point["seconds"] >= document["seconds"] / 2)
    return next(reached, curve[-1]["accuracy"])


def _outcome(document: dict[str, Any]) -> dict[str, Any]:
    last = document["curve"][-1]
    state = f"(diverged after {last['seconds']:.0f} s)" if last["diverged"] else ""
    accuracy = document["test"]["accuracy"]
    return {"seed": document["seed"], "accuracy": accuracy, "seconds": last["seconds"], "state": state}


def _commit(document: dict[str, Any]) -> str:
    facts = document["environment"]
    return (facts["commit"] or "unknown")[:7] + (" with uncommitted changes" if facts["uncommitted_changes"] else "")
