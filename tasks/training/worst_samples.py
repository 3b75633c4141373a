"""The test samples that a model answers worst: told by name, and drawn beside others."""

from pathlib import Path, PurePath
from textwrap import wrap
from typing import Any

import torch
from torch import Tensor

from tasks.data.batches import BatchRows, TensorBatches
from tasks.learning.classifier import Classifier
from tasks.learning.fast_weights import record_fast_weights
from tasks.learning.predictions import Predictions
from tasks.training.prediction_plots import DrawnSequence, plot_scatter, plot_sequences
from tasks.training.prediction_table import describe_samples

NUM_TOLD, NUM_DRAWN = 5, 6
TITLE_WIDTH = 50
"""Letters in a line of a title."""


def tell_worst(table: Predictions, model: Classifier, data: Any) -> list[str]:
    """Tell truth and prediction of the samples with the largest loss, by name; samples answered right are left out."""
    right = table.are_right(model.head)
    wrong = [row for row in table.order_by_loss(model.head).tolist() if right is None or not right[row]]
    rows, names = wrong[:NUM_TOLD], data.sample_names
    return describe_samples(table, model.head, rows, class_names=data.class_names, sample_names=names)


def can_draw_sequences(data: Any) -> bool:
    """Return whether the test samples are sequences of numbers in memory that have names."""
    is_sequence = data.num_spatial_dims == 1 and data.num_tokens is None and data.sample_names is not None
    return is_sequence and isinstance(getattr(data, "splits", {}).get("test"), TensorBatches)


def plot_test_sequences(path: Path, table: Predictions, model: Classifier, data: Any) -> None:
    """Draw six test sequences with prediction and fast weights: the three worst, and others up to the surest one."""
    right = table.are_right(model.head)
    worst, others = table.order_by_loss(model.head).tensor_split([NUM_DRAWN // 2])
    spread = torch.linspace(0, max(len(others) - 1, 0), min(NUM_DRAWN // 2, len(others))).round().long()
    rows = [*worst.tolist(), *others[spread].tolist()]
    drawn = []
    # A picture has no room for folders.
    names = {index: PurePath(data.sample_names[index]).name for index in table.index[rows].tolist()}
    titles = describe_samples(table, model.head, rows, class_names=data.class_names, sample_names=names)
    for row, title in zip(rows, titles, strict=True):
        x = _find_input(data.splits["test"], int(table.index[row]))
        weights = [each[0] for each in record_fast_weights(model.backbone, x[None].to(model.device))]
        lines, is_right = "\n".join(wrap(title, TITLE_WIDTH)), None if right is None else bool(right[row])
        drawn.append(DrawnSequence(lines, x, weights, is_right))
    plot_sequences(path, drawn, sample_rate=data.sample_rate)


def plot_numbers(path: Path, table: Predictions, model: Classifier, data: Any) -> None:
    """Draw the predicted numbers against the true ones."""
    predicted = model.head.predictions(table.outputs)["predicted"].reshape(len(table), -1)
    plot_scatter(path, table.targets.reshape(len(table), -1), predicted, names=data.class_names)


def predicts_numbers(table: Predictions, model: Classifier) -> bool:
    """Return whether targets and predictions are real numbers, one prediction a target."""
    predicted = model.head.predictions(table.outputs)["predicted"]
    return predicted.is_floating_point() and predicted.numel() == table.targets.numel()


def _find_input(samples: TensorBatches, index: int) -> Tensor:
    """Return the input `(C, L)` of the sample with this position in the whole data set, as evaluation sees it."""
    row = int((samples.index == index).nonzero()[0])
    batch = samples[BatchRows([row], epoch=0)]
    x = batch["x"][0]
    return x[..., : int(batch["lengths"][0])] if "lengths" in batch else x
