"""What a finished training leaves behind: test of the best weights, files, and the table of it all."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import LightningDataModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from tasks.learning.classifier import Classifier
from tasks.learning.predictions import PredictionCollector, write_predictions
from tasks.learning.score import Score
from tasks.runs.checkpoints import load_weights, read_checkpoint
from tasks.runs.provenance import environment
from tasks.runs.run_folder import RunFolder, write_json
from tasks.training.callbacks.epoch_log import Row
from tasks.training.plots import plot_confusion_matrix, plot_curves, plot_hyper_kernels

Part = Literal["validation", "test"]


@dataclass(frozen=True)
class Conclusion:
    """Everything that the end of a training needs.

    Attributes:
        trainer: The trainer that trained.
        model: The trained model; it leaves with its best weights.
        data: The data.
        run: Folder of the run.
        collector: Callback of the trainer that keeps predictions.
        rows: One row of metrics an epoch.
        config: The whole configuration, as plain values.
        seconds: Time that the training took.
        checkout: Commit of the code, and whether the code differs from it, when the training started.
        resumed_from: Checkpoint that the training continued, if any.
    """

    trainer: Trainer
    model: Classifier
    data: LightningDataModule
    run: RunFolder
    collector: PredictionCollector
    rows: list[Row]
    config: dict[str, Any]
    seconds: float
    checkout: dict[str, Any]
    resumed_from: Path | None

    def write(self, console: Console) -> None:
        """Test the best weights, writes every file of the run and prints the table.

        Args:
            console: Where to print it.
        """
        best = self.run.checkpoint("best")
        best_epoch = read_checkpoint(best)["epoch"] + 1
        load_weights(self.model, best)
        self.trainer.validate(self.model, datamodule=self.data, verbose=False)
        val = Score.of(self.collector.collected())
        self.trainer.test(self.model, datamodule=self.data, verbose=False)
        table = self.collector.collected()
        test = Score.of(table)
        counts = multiclass_confusion_matrix(table["predicted"], table["true"], self.data.num_classes)
        with torch.no_grad():
            hyper_kernels = self.model.backbone.hyper_kernels()

        file = self.run.artefact
        write_predictions(file("predictions.csv"), table)
        write_confusion_matrix(file("confusion_matrix.csv"), counts, class_names=self.data.class_names)
        plot_confusion_matrix(file("confusion_matrix.png"), counts, class_names=self.data.class_names)
        plot_curves(file("curves.png"), self.rows, best_epoch=best_epoch, test_accuracy=test.accuracy)
        plot_hyper_kernels(file("hyper_kernels.png"), hyper_kernels)
        # Last, so that a folder with results is a folder with everything.
        write_json(self.run.results, self._results(val, test, best_epoch))
        heading = f"Best weights: epoch {best_epoch} of {len(self.rows)}, {self.seconds:.0f} s of training"
        print_conclusion(console, self.run, val=val, test=test, heading=heading, selected_on=selected_on(self.data))

    def _results(self, val: Score, test: Score, best_epoch: int) -> dict[str, Any]:
        return {
            "task": self.config["run"]["name"],
            "accuracy": test.accuracy,
            "correct": test.correct,
            "n": test.num_samples,
            "interval_95": list(test.interval),
            "cross_entropy": test.cross_entropy,
            "val_accuracy": val.accuracy,
            "val_n": val.num_samples,
            "selected_on": selected_on(self.data),
            "best_epoch": best_epoch,
            "epochs": int(self.rows[-1]["epoch"]),
            "steps": int(self.rows[-1]["step"]),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "seconds": round(self.seconds, 1),
            "seed": self.config["seed_everything"],
            "input_shape": [self.data.in_channels, *self.data.size],
            "split": {"seed": getattr(self.data, "split_seed", None), **self.data.part_sizes},
            "precision": str(self.trainer.precision),
            "resumed_from": str(self.resumed_from) if self.resumed_from else None,
            **self.checkout,
            **environment(self.trainer.strategy.root_device),
            "config": self.config,
        }


def selected_on(data: LightningDataModule) -> Part:
    """Tell on which part the epoch of the best weights is chosen.

    Args:
        data: The data; some old results were chosen on the test part, and `select_on_test` repeats that.

    Returns:
        `validation` or `test`.
    """
    return "test" if getattr(data, "select_on_test", False) else "validation"


def write_confusion_matrix(path: Path, counts: Tensor, *, class_names: tuple[str, ...]) -> None:
    """Write a confusion matrix with its class names.

    Args:
        path: File to write.
        counts: Counts, rows are true classes and columns predicted ones, `(num_classes, num_classes)`.
        class_names: Name of each class.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["true \\ predicted", *class_names])
        writer.writerows([name, *row] for name, row in zip(class_names, counts.tolist(), strict=True))


def print_conclusion(
    console: Console, run: RunFolder, *, val: Score, test: Score, heading: str, selected_on: Part
) -> None:
    """Print the numbers, the files and the next commands.

    Args:
        console: Where to print.
        run: Folder of the run.
        val: Score of the best weights on the validation part.
        test: Score of the best weights on the test part.
        heading: What the numbers belong to.
        selected_on: Part that the epoch was chosen on.
    """
    console.print(f"\n{heading}", style="bold")
    print_scores(console, {"validation": val, "test": test}, selected_on=selected_on)
    for path in sorted(path for path in run.path.rglob("*") if path.is_file()):
        console.print(f"  {path}")
    console.print("\nNext:")
    for verb in ("test", "predict"):
        console.print(f"  {run.command(verb)}")


def print_scores(console: Console, scores: dict[str, Score], *, selected_on: Part) -> None:
    """Print a table of scores.

    Args:
        console: Where to print.
        scores: Score of each part.
        selected_on: Part that the epoch was chosen on.
    """
    table = Table("part")
    for column in ("accuracy", "right", "n", "95% interval", "cross entropy"):
        table.add_column(column, justify="right")
    for part, score in scores.items():
        low, high = (100 * bound for bound in score.interval)
        # Of the part that the epoch was chosen on, an interval would promise too much.
        interval = "chosen by it" if part in ("validation", selected_on) else f"{low:.2f}% to {high:.2f}%"
        numbers = (f"{100 * score.accuracy:.2f}%", f"{score.correct}", f"{score.num_samples}", interval)
        table.add_row(part, *numbers, f"{score.cross_entropy:.4f}")
    console.print(table)
    if selected_on == "test":
        console.print("The epoch was chosen on the test part: this accuracy is no estimate for new samples.")
