"""Predictions as a table for people: names of samples and classes, and a truth only where one is known."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.learning.predictions import Predictions
from tasks.learning.rejection import names_one_class
from tasks.runs.run_folder import write_text

Columns = dict[str, list[Any]]


def write_predictions(
    path: Path,
    table: Predictions,
    head: Any,
    *,
    class_names: Sequence[str],
    sample_names: Sequence[str] | None = None,
) -> None:
    """Write one line a sample: `index`, `name`, `true`, and the columns of the head.

    `sample_names` holds one name for each sample of the whole data set, or is `None`: then there is no `name`.
    """
    columns: Columns = {"index": table.index.tolist()}
    if sample_names is not None:
        columns["name"] = [sample_names[index] for index in columns["index"]]
    predicted = head.predictions(table.outputs)
    columns |= name_columns({"true": table.targets, **predicted}, class_names=class_names)
    write_text(path, format_columns(columns))


def write_mistakes(
    path: Path,
    table: Predictions,
    head: Any,
    *,
    class_names: Sequence[str],
    sample_names: Sequence[str] | None = None,
) -> None:
    """Write the lines of `write_predictions` that are wrong, the most certain mistake first.

    Nothing is written where the head names no single class with its probability.
    """
    predicted = head.predictions(table.outputs)
    if not names_one_class(predicted):
        return
    wrong = (predicted["predicted"] != table.targets).nonzero()[:, 0]
    worst = wrong[predicted["probability"][wrong].argsort(descending=True, stable=True)]
    chosen = Predictions(table.index[worst], table.targets[worst], table.outputs[worst])
    write_predictions(path, chosen, head, class_names=class_names, sample_names=sample_names)


def name_columns(tensors: Mapping[str, Tensor], *, class_names: Sequence[str], digits: int = 7) -> Columns:
    """Turn tensors with one entry a sample into columns; classes in `true` and `predicted` become their names.

    A tensor `(N, K)` becomes the columns `name_1` to `name_K`, and one of `(N, 1)` the column `name`.
    """
    columns: Columns = {}
    for name, given in tensors.items():
        values = given.squeeze(1) if given.dim() == 2 and given.shape[1] == 1 else given
        if values.dim() > 1:
            columns |= {
                f"{name}_{number}": _plain(column, digits) for number, column in enumerate(values.flatten(1).mT, 1)
            }
        elif name in ("true", "predicted") and values.dtype == torch.int64:
            columns[name] = [class_names[position] for position in values.tolist()]
        else:
            columns[name] = _plain(values, digits)
    return columns


def format_columns(columns: Columns) -> str:
    """Return the text of a CSV file with these columns."""
    return format_csv([list(columns), *zip(*columns.values(), strict=True)])


def describe_samples(
    table: Predictions,
    head: Any,
    rows: Sequence[int],
    *,
    class_names: Sequence[str],
    sample_names: Sequence[str] | Mapping[int, str] | None = None,
) -> list[str]:
    """Tell truth and prediction of some rows of a table, such as `machine 3: busy, predicted idle (0.92)`."""
    predicted = head.predictions(table.outputs)
    told = []
    for row in rows:
        values = {"true": table.targets[row : row + 1]} | {
            name: each[row : row + 1] for name, each in predicted.items()
        }
        columns = name_columns(values, class_names=class_names, digits=4)
        true, found = (
            " ".join(str(column[0]) for name, column in columns.items() if name.split("_")[0] == kind)
            for kind in ("true", "predicted")
        )
        index = int(table.index[row])
        name = f"sample {index}" if sample_names is None else sample_names[index]
        share = f" ({float(columns['probability'][0]):.2f})" if "probability" in columns else ""
        told.append(f"{name}: {true}, predicted {found}{share}")
    return told


def format_csv(rows: Sequence[Sequence[Any]]) -> str:
    """Return the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _plain(values: Tensor, digits: int) -> list[Any]:
    return [f"{value:.{digits}g}" for value in values.tolist()] if values.is_floating_point() else values.tolist()
