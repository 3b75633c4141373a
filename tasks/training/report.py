"""What a finished training leaves behind: test of the kept weights, files, and the table of it all."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tasks.data.data_module import describe_longer
from tasks.learning.classifier import Classifier
from tasks.learning.predictions import Predictions
from tasks.learning.rejection import choose_rejection_threshold
from tasks.learning.score import Score
from tasks.runs.checkpoints import RunCheckpoint, load_weights, read_checkpoint
from tasks.runs.provenance import describe_environment
from tasks.runs.run_folder import RunFolder, write_json, write_text, write_whole
from tasks.training.callbacks.epoch_log import read_rows
from tasks.training.class_scores import write_class_scores
from tasks.training.plots import plot_confusion_matrix, plot_curves, plot_hyper_kernels
from tasks.training.prediction_table import format_csv, write_mistakes, write_predictions
from tasks.training.worst_samples import (
    can_draw_sequences,
    plot_numbers,
    plot_test_sequences,
    predicts_numbers,
    tell_worst,
)

GENERATED = "generated"


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
        """Test the weights that are kept, write every file of the run and print the table.

        Processes that have trained together test together; the first one writes and prints.
        """
        best, rows = self.run.checkpoint("best"), read_rows(self.run.metrics)
        was_chosen = self._keep_weights()
        kept = read_checkpoint(best)
        load_weights(self.model, best)
        taken = {
            "best_epoch": kept["epoch"] + 1 if was_chosen else None,
            "best_step": kept["global_step"],
            "epochs": self._count_epochs(),
            "steps": self.trainer.global_step,
        }
        tables = {split: self._evaluate(split) for split in ("validation", "test")}
        if not self.trainer.is_global_zero:
            return
        scores = {split: Score.of(table, self.model.head) for split, table in tables.items() if table}
        selected_on = self.data.selected_on if was_chosen else "last"

        # Numbers first: what fails after them costs no result.
        for path in (*self._tables(), *self._pictures()):
            path.unlink(missing_ok=True)
        rejection = None
        if validation := tables["validation"]:
            rejection = choose_rejection_threshold(validation, self.model.head)
        write_json(self.run.results, self._results(scores, taken, selected_on) | {"reject_below": rejection})
        counts = None
        if table := tables["test"]:
            names = {"class_names": self.data.class_names, "sample_names": self.data.sample_names}
            write_predictions(self.run.predictions, table, self.model.head, **names)
            counts = count_confusions(table, self.model.head, self.data.num_classes)
            write_mistakes(self.run.mistakes, table, self.model.head, **names)
        if counts is not None:
            write_confusion_matrix(self.run.confusion_matrix, counts, class_names=self.data.class_names)
            write_class_scores(self.run.class_scores, counts, class_names=self.data.class_names)

        def draw(path: Path, plot: Callable[..., None], *content: Any, **options: Any) -> None:
            # Beside its target: half a picture replaces none.
            part = path.with_name(f"part-{path.name}")
            try:
                plot(part, *content, **options)
                os.replace(part, path)
            except Exception as error:
                part.unlink(missing_ok=True)
                console.print(f"{path.name} could not be drawn: {type(error).__name__}: {' '.join(str(error).split())}")

        if rows:
            shown = next(iter(scores.values())).metrics if scores else {}
            test = scores["test"].metrics if "test" in scores else None
            draw(self.run.curves, plot_curves, rows, metrics=list(shown), best_epoch=taken["best_epoch"], test=test)
        if counts is not None:
            picture = self.run.confusion_matrix.with_suffix(".png")
            draw(picture, plot_confusion_matrix, counts, class_names=self.data.class_names)
        if table and predicts_numbers(table, self.model):
            draw(self.run.scatter, plot_numbers, table, self.model, self.data)
        if table and can_draw_sequences(self.data):
            draw(self.run.sequences, plot_test_sequences, table, self.model, self.data)
        if self.model.has_hyper_kernels:
            backbone: Any = self.model.backbone
            with torch.no_grad():
                hyper_kernels = backbone.hyper_kernels(tuple(self.data.size))
            if hyper_kernels:
                draw(self.run.hyper_kernels, plot_hyper_kernels, hyper_kernels)

        heading = f"Best weights: epoch {taken['best_epoch']} of {len(rows)}"
        if not was_chosen:
            heading = f"Last weights, as no validation chose others: step {taken['steps']}"
        console.print(f"\n{heading}, {self.seconds:.0f} s of training", style="bold")
        if scores:
            print_scores(console, scores, selected_on=selected_on)
            if self.data.source == GENERATED:
                console.print("The data are generated: the scores are no results on the published files.")
        if table and (worst := tell_worst(table, self.model, self.data)):
            console.print("Largest losses on the test split:")
            for line in worst:
                console.print(f"  {line}", markup=False)
        for split, name in (("validation", "val"), ("test", "test")):
            counted, total = scores[split].num_samples if split in scores else 0, self.data.split_sizes.get(name, 0)
            if counted < total:
                console.print(f"{split}: {counted:,} of {total:,} samples, by trainer.limit_{name}_batches")
        if self.model.has_hyper_kernels and (longer := describe_longer(self.data)):
            console.print(f"longer inputs: {longer}")
        for path in sorted(path for path in self.run.path.rglob("[!.]*") if path.is_file()):
            console.print(f"  {path}")
        console.print("\nNext:")
        console.print(f"  {self.run.command('test')}")
        if hasattr(self.data, "read_samples"):
            console.print(f"  {self.run.predict_command()} FILE...")

    def _count_epochs(self) -> int:
        """Count the whole epochs; one that the last step cut short is none."""
        batches = self.trainer.fit_loop.epoch_loop.batch_progress
        return self.trainer.current_epoch - (batches.current.ready > 0 and not batches.is_last_batch)

    def _keep_weights(self) -> bool:
        """Keep the last weights as the best ones where no validation chose any; return whether one did."""
        last, best = self.run.checkpoint("last"), self.run.checkpoint("best")
        was_chosen = any(
            callback.monitor and callback.best_model_score is not None
            for callback in self.trainer.checkpoint_callbacks
            if isinstance(callback, RunCheckpoint)
        )
        is_missing = self.trainer.strategy.broadcast(not last.is_file())
        if is_missing:
            self.trainer.save_checkpoint(last)
        if not was_chosen and self.trainer.is_global_zero:
            write_whole(best, lambda file: file.write(last.read_bytes()))
        self.trainer.strategy.barrier()
        return was_chosen

    def _evaluate(self, split: str) -> Predictions | None:
        """Evaluate the model on a split; `None` where the split is empty or the trainer is told to leave it out."""
        limit, evaluate = self.trainer.limit_val_batches, self.trainer.validate
        if split == "test":
            limit, evaluate = self.trainer.limit_test_batches, self.trainer.test
        if not limit or (split == "validation" and self.data.selected_on == "last"):
            return None
        evaluate(self.model, datamodule=self.data, verbose=False)
        return self.model.join_predictions()

    def _tables(self) -> tuple[Path, ...]:
        return self.run.predictions, self.run.confusion_matrix, self.run.class_scores, self.run.mistakes

    def _pictures(self) -> tuple[Path, ...]:
        matrix = self.run.confusion_matrix.with_suffix(".png")
        return self.run.curves, matrix, self.run.scatter, self.run.sequences, self.run.hyper_kernels

    def _results(self, scores: dict[str, Score], taken: dict[str, Any], selected_on: str) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if val := scores.get("validation"):
            told |= {"metric": next(iter(val.metrics))}
            told |= {f"val_{name}": value for name, value in val.metrics.items()} | {"val_n": val.num_samples}
        if test := scores.get("test"):
            told |= {"metric": next(iter(test.metrics)), **test.metrics, "n": test.num_samples}
            told |= {"correct": test.correct, "interval_95": test.interval} if test.interval else {}
        return {
            "task": self.config["run"]["name"],
            **told,
            "selected_on": selected_on,
            "source": self.data.source,
            **taken,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "seconds": round(self.seconds, 1),
            **({"processes": self.trainer.world_size} if self.trainer.world_size > 1 else {}),
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
    """Print a table with the score of each split; `selected_on` names the split that the epoch was chosen on, or last.

    Where it is the test split, validation reads the same samples.
    """
    table = Table("split")
    for column in dict(_cells(next(iter(scores.values())), "")):
        table.add_column(column, justify="right")
    for split, score in scores.items():
        # Where the epoch was chosen by this split, an interval would promise too much.
        chosen = "chosen by it" if selected_on == split or (selected_on, split) == ("test", "validation") else ""
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
