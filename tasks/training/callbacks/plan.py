"""What is about to happen, shown before the first step."""

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.text import Text

from tasks.data.data_module import describe_longer
from tasks.learning.fresh_statistics import EstimateStatistics
from tasks.runs.provenance import device_name
from tasks.runs.run_folder import RunFolder
from tasks.training.callbacks.memory import CheckMemory


class Plan(Callback):
    """Print the plan of a training, with the files that its configuration was read from, and what it starts from."""

    def __init__(self, console: Console, run: RunFolder, config_files: list[str], *, start: str = "") -> None:
        self.console, self.run, self.config_files, self.start = console, run, config_files, start

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the plan, when everything that it tells is known and nothing has happened yet."""
        rows = plan_rows(trainer, pl_module)
        rows["config"] = ", ".join(self.config_files) or "flags only"
        if self.start:
            rows["start"] = self.start
        rows["run folder"] = str(self.run.path)
        width = max(map(len, rows))
        for name, value in rows.items():
            self.console.print(Text(name.ljust(width), style="bold"), value)
        self.console.print()


def plan_rows(trainer: Trainer, model: LightningModule) -> dict[str, str]:
    """Collect what a user wants to know before waiting, in the order to show it."""
    data, optimizer = trainer.datamodule, trainer.optimizers[0]  # type: ignore[attr-defined]
    splits = ", ".join(f"{count:,} {name}" for name, count in data.split_sizes.items())
    counts = [sum(parameter.numel() for parameter in group["params"]) for group in optimizer.param_groups]
    rows = {
        "data": f"{type(data).__name__}, {'x'.join(map(str, (data.in_channels, *data.size)))}: {splits}",
        "classes": f"{data.num_classes}",
        "parameters": f"{sum(counts):,}",
    }
    if callable(describe := getattr(data, "describe", None)):
        rows |= describe()
    for group, count in zip(optimizer.param_groups, counts, strict=True):
        rows[f"  {group['name']}"] = f"{count:,} (lr {group.get('initial_lr', group['lr']):g}, "
        rows[f"  {group['name']}"] += f"weight decay {group.get('weight_decay', 0.0):g})"
    epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else "until max_steps"
    rows["optimizer"] = f"{type(optimizer).__name__}, {model.schedule}"
    rows["device"] = f"{device_name(trainer.strategy.root_device)}, precision {trainer.precision}"
    if trainer.world_size > 1:
        rows["device"] += f", {trainer.world_size} processes that share each batch"
    rows["batch size"] = f"{data.batch_size}" + _accumulated(trainer)
    rows["epochs"] = f"{epochs}" + (f", resumed after {trainer.current_epoch}" if trainer.current_epoch else "")
    total = int(trainer.estimated_stepping_batches)
    rows["steps"] = f"{total:,}"
    if 0 <= total <= trainer.global_step:
        rows["steps"] += (
            f", of which {trainer.global_step:,} are taken: the learning rate is at the end of its schedule"
        )
    if model.has_hyper_kernels and (longer := describe_longer(data)):
        rows["longer"] = f"{longer}; the kernels read on, which costs accuracy"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, CheckMemory) and callback.told:
            rows["memory"] = callback.told
        if isinstance(callback, EstimateStatistics) and callback.acts(trainer, model):
            rows["statistics"] = f"estimated anew from {trainer.num_training_batches} batches before each validation"
    if not _validates(trainer, total):
        rows["validation"] = "none within these steps: the last weights are kept"
    return rows


def _validates(trainer: Trainer, total_steps: int) -> bool:
    """Return whether the training comes to a validation before its last step."""
    every, batches, first = trainer.check_val_every_n_epoch, trainer.num_training_batches, trainer.val_check_batch
    if trainer.limit_val_batches == 0 or first is None:
        # An interval of time, not of batches, promises nothing and excludes nothing.
        return trainer.limit_val_batches != 0
    if every is not None:
        first = (every - 1) * batches + min(first, batches)
    return total_steps < 0 or first <= total_steps * trainer.accumulate_grad_batches


def _accumulated(trainer: Trainer) -> str:
    return f" x {trainer.accumulate_grad_batches} accumulated" if trainer.accumulate_grad_batches > 1 else ""
