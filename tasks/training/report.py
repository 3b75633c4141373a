"""What a finished training leaves behind: test of the best weights, files, and the table of it all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tasks.learning.classifier import Classifier
from tasks.learning.predictions import Predictions
from tasks.learning.score import Score
from tasks.runs.checkpoints import load_weights, read_checkpoint
from tasks.runs.provenance import describe_environment
from tasks.runs.run_folder import RunFolder, write_json, write_text
from tasks.training.callbacks.epoch_log import read_rows
from tasks.training.plots import plot_confusion_matrix, plot_curves, plot_hyper_kernels
from tasks.training.prediction_table import format_csv, write_predictions


@dataclass(frozen=True)
class Report:
    """Everything that the end of a training needs.

    `data` is checked by `check_data_module`. `config` holds all options as plain values. `seconds` is the time that
    the training took. `checkout` describes the code when the training started. `resumed` tells whether the training
    went on from a checkpoint.
    """

    trainer: Trainer
    model: Classifier
    data: Any
    run: RunFolder
    config: dict[str, Any]
    seconds: float
    checkout: dict[str, Any]
    resumed: bool

    def write(self, console: Console) -> None:
        """Test the best weights, which the model keeps, write every file of the run and print the table."""
        best = self.run.checkpoint("best")
        best_epoch, rows = read_checkpoint(best)["epoch"] + 1, read_rows(self.run.metrics)
        load_weights(self.model, best)
        val = None
        if self.data.selected_on != "last":
            self.trainer.validate(self.model, datamodule=self.data, verbose=False)
            val = Score.of(self.model.join_predictions(), self.model.head)
        self.trainer.test(self.model, datamodule=self.data, verbose=False)
        table = self.model.join_predictions()
        test = Score.of(table, self.model.head)

        # Numbers first: a picture that fails costs no result.
        names = {"class_names": self.data.class_names, "sample_names": self.data.sample_names}
        write_predictions(self.run.predictions, table, self.model.head, **names)
        counts = count_confusions(table, self.model.head, self.data.num_classes)
        if counts is not None:
            write_confusion_matrix(self.run.confusion_matrix, counts, class_names=self.data.class_names)
        last = {"best_epoch": best_epoch, "epochs": int(rows[-1]["epoch"]), "steps": int(rows[-1]["step"])}
        write_json(self.run.results, self._results(val, test, last))

        def draw(path: Path, plot: Callable[..., None], *content: Any, **options: Any) -> None:
            try:
                plot(path, *content, **options)
            except Exception as error:
                console.print(f"{path.name} could not be drawn: {type(error).__name__}: {' '.join(str(error).split())}")

        draw(self.run.curves, plot_curves, rows, best_epoch=best_epoch, test=test.metrics)
        if counts is not None:
            picture = self.run.confusion_matrix.with_suffix(".png")
            draw(picture, plot_confusion_matrix, counts, class_names=self.data.class_names)
        if self.model.has_hyper_kernels:
            backbone: Any = self.model.backbone
            with torch.no_grad():
                hyper_kernels = backbone.hyper_kernels(tuple(self.data.size))
            if hyper_kernels:
                draw(self.run.hyper_kernels, plot_hyper_kernels, hyper_kernels)

        kept = "Best weights" if val else "Last weights, as there is no validation split"
        heading = f"{kept}: epoch {best_epoch} of {len(rows)}, {self.seconds:.0f} s of training"
        console.print(f"\n{heading}", style="bold")
        scores = {"validation": val, "test": test} if val else {"test": test}
        print_scores(console, scores, selected_on=self.data.selected_on)
        for path in sorted(path for path in self.run.path.rglob("*") if path.is_file()):
            console.print(f"  {path}")
        console.print("\nNext:")
        console.print(f"  {self.run.command('test')}")
        if hasattr(self.data, "read_samples"):
            console.print(f"  {self.run.predict_command()} FILE...")

    def _results(self, val: Score | None, test: Score, epochs: dict[str, int]) -> dict[str, Any]:
        right = {"correct": test.correct, "interval_95": test.interval} if test.interval else {}
        return {
            "task": self.config["run"]["name"],
            "metric": next(iter(test.metrics)),
            **test.metrics,
            **right,
            "n": test.num_samples,
            **(
                {f"val_{name}": value for name, value in val.metrics.items()} | {"val_n": val.num_samples}
                if val
                else {}
            ),
            "selected_on": self.data.selected_on,
            **epochs,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "seconds": round(self.seconds, 1),
            "seed": self.config["seed_everything"],
            "input_shape": [self.data.in_channels, *self.data.size],
            "split": {"seed": self.data.split_seed, **self.data.split_sizes},
            "precision": str(self.trainer.precision),
            "resumed": self.resumed,
            **self.checkout,
            **describe_environment(self.trainer.strategy.root_device),
            "config": self.config,
        }


def count_confusions(table: Predictions, head: Any, num_classes: int) -> Tensor | None:
    """Count the samples of each pair of true and predicted class, `(num_classes, num_classes)`, true classes in rows.

    The result is `None` where the head predicts no class.
    """
    predicted = head.predictions(table.outputs)["predicted"]
    if table.targets.dtype != torch.int64 or predicted.dtype != torch.int64 or predicted.shape != table.targets.shape:
        return None
    pairs = num_classes * table.targets + predicted
    return pairs.bincount(minlength=num_classes**2).reshape(num_classes, num_classes)


def write_confusion_matrix(path: Path, counts: Tensor, *, class_names: Sequence[str]) -> None:
    """Write a confusion matrix with its class names."""
    rows = [[name, *row] for name, row in zip(class_names, counts.tolist(), strict=True)]
    write_text(path, format_csv([["true \\ predicted", *class_names], *rows]))


def print_scores(console: Console, scores: dict[str, Score], *, selected_on: str) -> None:
    """Print a table with the score of each split; `selected_on` names the split that the epoch was chosen on."""
    table = Table("split")
    for column in dict(_cells(next(iter(scores.values())), "")):
        table.add_column(column, justify="right")
    for split, score in scores.items():
        # The epoch was chosen by this split: an interval would promise too much.
        chosen = "chosen by it" if split in ("validation", selected_on) else ""
        table.add_row(split, *dict(_cells(score, chosen)).values())
    console.print(table)
    if selected_on == "test":
        console.print("The epoch was chosen on the test split: this is no estimate for new samples.")


def _cells(score: Score, chosen: str) -> Iterator[tuple[str, str]]:
    """Yield the main metric and what makes it sure, then the other metrics."""
    (main, value), *others = score.metrics.items()
    yield main.replace("_", " "), f"{100 * value:.2f}%" if main == "accuracy" else f"{value:.4f}"
    if score.interval:
        low, high = (100 * bound for bound in score.interval)
        yield "right", f"{score.correct}"
        yield "n", f"{score.num_samples}"
        yield "95% interval", chosen or f"{low:.2f}% to {high:.2f}%"
    else:
        yield "n", f"{score.num_samples}"
    for name, value in others:
        yield name.replace("_", " "), f"{value:.4f}"
