"""When to answer that a sample is of none of the classes."""

from typing import Any

import torch
from torch import Tensor

from tasks.learning.predictions import Predictions

KEPT = 0.95
"""Share of the right answers on the validation split that a chosen threshold keeps."""


def choose_rejection_threshold(table: Predictions, head: Any) -> float | None:
    """Return the largest probability below which at most 5% of the right answers of a split lie.

    A split holds no sample of other classes, so the threshold bounds what rejection costs; it does not promise what
    rejection finds.

    Args:
        table: Predictions for the validation split.
        head: The head that gave them.

    Returns:
        The threshold; `None` where the head names no single class with its probability, or no answer is right.
    """
    predicted = head.predictions(table.outputs)
    if not names_one_class(predicted):
        return None
    right = predicted["probability"][predicted["predicted"] == table.targets].sort().values
    return float(right[int((1 - KEPT) * len(right))]) if len(right) else None


def names_one_class(predicted: dict[str, Tensor]) -> bool:
    """Return whether the predictions of a head are one class a sample, with its probability."""
    classes, probability = predicted["predicted"], predicted.get("probability")
    return probability is not None and probability.dim() == classes.dim() == 1 and classes.dtype == torch.int64
