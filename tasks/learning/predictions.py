"""What a model says about samples: one row a sample, collected over batches and written as a table."""

import csv
from pathlib import Path
from typing import TypedDict

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy

from tasks.data.batches import Batch


class Predictions(TypedDict):
    """One entry a sample; each tensor is `(N,)`."""

    index: Tensor
    """Position in the whole data set."""
    true: Tensor
    """Class in the data."""
    predicted: Tensor
    """Class with the highest score."""
    probability: Tensor
    """Probability that the model gives to the predicted class."""
    cross_entropy: Tensor
    """Cross entropy of the true class."""


def predictions(batch: Batch, logits: Tensor) -> Predictions:
    """Read the predictions off the scores.

    Args:
        batch: The batch.
        logits: Scores, `(B, num_classes)`.

    Returns:
        The predictions of the batch.
    """
    probability, predicted = logits.float().softmax(dim=1).max(dim=1)
    losses = cross_entropy(logits.float(), batch["y"], reduction="none")
    return Predictions(
        index=batch["index"], true=batch["y"], predicted=predicted, probability=probability, cross_entropy=losses
    )


class PredictionCollector(Callback):
    """Keep the predictions of the last evaluation; the validations inside a training are left out."""

    def __init__(self) -> None:
        self._batches: list[Predictions] = []

    def collected(self) -> Predictions:
        """Join the batches.

        Returns:
            The predictions of all samples, in the order of the data set.

        Raises:
            ValueError: If no sample was evaluated, or one was evaluated twice.
        """
        if not self._batches:
            raise ValueError("the evaluated part must hold at least one batch, got none")
        table = {name: torch.cat([batch[name] for batch in self._batches]) for name in self._batches[0]}
        order = table["index"].argsort()
        if len(order) != len(table["index"].unique()):
            raise ValueError("index must name each sample once, got one twice")
        return Predictions(**{name: column[order] for name, column in table.items()})

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = []

    def _collect(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Predictions,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.state.fn != "fit":
            self._batches.append(Predictions(**{name: column.cpu() for name, column in outputs.items()}))

    on_validation_start = on_test_start = on_predict_start = _start
    on_validation_batch_end = on_test_batch_end = on_predict_batch_end = _collect


def write_predictions(path: Path, table: Predictions) -> None:
    """Write `index,true,predicted,probability`, one line a sample; an existing file is never overwritten.

    Args:
        path: File to create.
        table: The predictions.
    """
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["index", "true", "predicted", "probability"])
        columns = (table[name].tolist() for name in ("index", "true", "predicted", "probability"))
        for index, true, predicted, probability in zip(*columns, strict=True):
            writer.writerow([index, true, predicted, f"{probability:.6f}"])
