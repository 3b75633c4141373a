"""Which weights a run keeps, and how they are found again."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from tasks.errors import UserError
from tasks.runs.run_folder import RunFolder


class RunCheckpoint(ModelCheckpoint):
    """Keep one epoch in the file `path`: the last one, or the one with the highest value of a metric.

    A resumed training goes on with the best value so far, even if the run folder was moved. `options` are those of
    Lightning's `ModelCheckpoint`.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(dirpath=path.parent, filename=path.stem, enable_version_counter=False, **options)
        self._path = path

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best value so far, and the file that holds it, from the resumed checkpoint."""
        if self.monitor and self._path.is_file():
            # The form in which Lightning compares paths.
            best = str(Path(self.dirpath or "") / self._path.name)
            self.best_model_path = self.kth_best_model_path = best
            self.best_model_score = self.kth_value = state_dict["best_model_score"]
            self.best_k_models = {best: state_dict["best_model_score"]}


def checkpoint_callbacks(run: RunFolder, *, selected: bool = True) -> list[RunCheckpoint]:
    """Build the callbacks that write `checkpoints/best.ckpt` and `checkpoints/last.ckpt`.

    Without a split that selects an epoch, both hold the last one.
    """
    if selected:
        best = RunCheckpoint(run.checkpoint("best"), monitor="val/score", mode="max")
    else:
        best = RunCheckpoint(run.checkpoint("best"), monitor="epoch", mode="max", save_on_train_epoch_end=True)
    return [best, RunCheckpoint(run.checkpoint("last"), save_on_train_epoch_end=True)]


def find_checkpoint(wanted: str, run: RunFolder) -> Path:
    """Find the file that `--ckpt_path` asks for: `best` or `last` of a run, or a path.

    Raises:
        UserError: If there is no such file.
    """
    path = run.checkpoint(wanted) if wanted in ("best", "last") else Path(wanted)
    if not path.is_file():
        raise UserError(
            f"ckpt_path must lead to a checkpoint, got {wanted!r} and there is no {path}; "
            "give the config.yaml of a finished run, or --ckpt_path FILE"
        )
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of plain values and tensors to the CPU.

    Raises:
        UserError: If the file is no checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise UserError(f"ckpt_path must be a whole checkpoint, got {path}") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise UserError(f"ckpt_path must be a checkpoint of a training, got {path}")
    return content


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a checkpoint into a model, as its config builds it.

    Raises:
        UserError: If the weights are those of another model.
    """
    try:
        model.load_state_dict(read_checkpoint(path)["state_dict"])
    except RuntimeError as error:
        # The first line names the class, the others each a weight; one of them says enough.
        detail = str(error).splitlines()[1].strip()
        raise UserError(f"ckpt_path must hold the weights of the config's model, got {path}: {detail}") from error
