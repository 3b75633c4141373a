"""What the user sees while a model trains: one line an epoch, and in a terminal a bar."""

import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TrainingProgress(ProgressBar):
    """One line an epoch with loss, main validation metric, learning rate and speed.

    In a terminal a bar over the whole training stands below the lines; it fits 80 columns.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self._enabled = True
        self._bar: Progress | None = None
        self._started = 0.0
        self._first_step = 0

    def disable(self) -> None:
        """Show nothing from now on; Lightning calls this on all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show progress again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar."""
        self._started, self._first_step = time.perf_counter(), trainer.global_step
        if not self._enabled or not self.console.is_terminal:
            return
        columns = (
            TextColumn("epoch {task.fields[epoch]}"), BarColumn(bar_width=16), MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"), TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, console=self.console)
        total = trainer.estimated_stepping_batches
        self._bar.add_task("fit", total=total, epoch=self._epoch(trainer), loss="", completed=trainer.global_step)
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        if self._bar is not None:
            task, loss = self._bar.task_ids[0], f"loss {outputs['loss'].item():.3f}"
            self._bar.update(task, completed=trainer.global_step, epoch=self._epoch(trainer), loss=loss)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of this epoch, above the bar."""
        if self._enabled:
            loss = float(trainer.callback_metrics["train/loss"])
            self.console.print(f"epoch {self._epoch(trainer)}  loss {loss:.3f}{self._numbers(trainer)}")

    def on_train_end(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException | None = None
    ) -> None:
        """Leave the bar on the screen, and give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    on_exception = on_train_end

    def _epoch(self, trainer: Trainer) -> str:
        last = str(trainer.max_epochs) if trainer.max_epochs and trainer.max_epochs > 0 else "-"
        return f"{trainer.current_epoch + 1:>{len(last)}}/{last}"

    def _numbers(self, trainer: Trainer) -> str:
        # The main metric of the head is logged first.
        shown = ""
        if name := next((name for name in trainer.callback_metrics if name.startswith("val/")), None):
            value = float(trainer.callback_metrics[name])
            shown = f"  val {100 * value:.1f}%" if name == "val/accuracy" else f"  {name} {value:.4g}"
        speed = (trainer.global_step - self._first_step) / (time.perf_counter() - self._started)
        return f"{shown}  lr {trainer.optimizers[0].param_groups[0]['lr']:.1e}  {speed:.1f} it/s"
