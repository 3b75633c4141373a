"""Precision, recall and F1 of each class, and their means."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tasks.runs.run_folder import write_text
from tasks.training.prediction_table import format_csv


def score_classes(counts: Tensor) -> Tensor:
    """Compute precision, recall and F1 = 2 TP / (2 TP + FP + FN) of each class.

    A class that is never predicted has precision 0, one without samples recall 0, one without either F1 0.

    Args:
        counts: Samples of each pair of true and predicted class, `(num_classes, num_classes)`, true classes in rows.

    Returns:
        `(num_classes, 3)` of `float64`.

    Example:
        >>> score_classes(torch.tensor([[3, 1], [0, 4]]))[0].tolist()
        [1.0, 0.75, 0.8571428571428571]
    """
    right, true, predicted = counts.diagonal().double(), counts.sum(dim=1), counts.sum(dim=0)
    return torch.stack(
        [right / predicted.clamp(min=1), right / true.clamp(min=1), 2 * right / (true + predicted).clamp(min=1)], dim=1
    )


def write_class_scores(path: Path, counts: Tensor, *, class_names: Sequence[str]) -> None:
    """Write a row a class, and their means in the row `(mean)`, where each class weighs alike."""
    scores = score_classes(counts)
    rows = [
        [name, *(f"{value:.4f}" for value in row), number]
        for name, row, number in zip(
            (*class_names, "(mean)"),
            torch.cat([scores, scores.mean(dim=0, keepdim=True)]).tolist(),
            (*counts.sum(dim=1).tolist(), int(counts.sum())),
            strict=True,
        )
    ]
    write_text(path, format_csv([["class", "precision", "recall", "f1", "n"], *rows]))
