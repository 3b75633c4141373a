"""Which weights a run keeps, and how they are found again."""

import io
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from tasks.errors import UserError
from tasks.runs.run_folder import RunFolder, write_whole


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
        if self.monitor and state_dict["best_model_score"] is not None and self._path.is_file():
            # The form in which Lightning compares paths.
            best = str(Path(self.dirpath or "") / self._path.name)
            self.best_model_path = self.kth_best_model_path = best
            self.best_model_score = self.kth_value = state_dict["best_model_score"]
            self.best_k_models = {best: state_dict["best_model_score"]}


def checkpoint_callbacks(run: RunFolder) -> list[RunCheckpoint]:
    """Build the callbacks that write `checkpoints/best.ckpt` and `checkpoints/last.ckpt`."""
    best = RunCheckpoint(run.checkpoint("best"), monitor="val/score", mode="max")
    return [best, RunCheckpoint(run.checkpoint("last"), save_on_train_epoch_end=True)]


class WholeCheckpoints(TorchCheckpointIO):
    """Write a checkpoint beside its target, and let it replace an earlier one only if it can be read again.

    Lightning writes to the folder for temporary files. From another file system the file is copied, and a full disk
    would leave half of it in place of the earlier checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            UserError: If the disk is full, or the checkpoint holds more than plain values and tensors.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), lambda file: file.write(content.getbuffer()), check=_check_plain)


def _check_plain(path: Path) -> None:
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UnpicklingError as error:
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        raise UserError(
            "a checkpoint must hold plain values and tensors, such as those of state_dict of modules, data and "
            f"callbacks, got {culprit[1] if culprit else error}"
        ) from error


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


def read_checkpoint(path: Path, *, option: str = "ckpt_path") -> dict[str, Any]:
    """Read a checkpoint of plain values and tensors to the CPU; `option` is the one that a user named it by.

    Raises:
        UserError: If the file is no checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What torch raises depends on the bytes that it takes for a pickle.
        raise UserError(f"{option} must be a whole checkpoint, got {path}") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise UserError(f"{option} must be a checkpoint of a training, got {path}")
    return content


def load_weights(model: nn.Module, path: Path, *, option: str = "ckpt_path") -> None:
    """Load the weights of a checkpoint into a model, as its config builds it; see `read_checkpoint` for `option`.

    Raises:
        UserError: If the weights are those of another model.
    """
    try:
        model.load_state_dict(read_checkpoint(path, option=option)["state_dict"])
    except RuntimeError as error:
        # The first line names the class, the others each a weight; one of them says enough.
        detail = str(error).splitlines()[1].strip()
        raise UserError(f"{option} must hold the weights of the config's model, got {path}: {detail}") from error


def check_goes_on(checkpoint: dict[str, Any], *, max_epochs: int | None, max_steps: int, concluded: bool) -> None:
    """Check that a training can go on from a checkpoint and then equals one that was never interrupted.

    `max_epochs` and `max_steps` are those of Lightning's `Trainer`. `concluded` tells whether there are results.

    Raises:
        UserError: If the checkpoint holds weights alone, was written within an epoch, or the training has its results.
    """
    if not {"loops", "optimizer_states", "epoch", "global_step"} <= set(checkpoint):
        raise UserError("ckpt_path must be a checkpoint of a training to resume it, got one of weights alone")
    loop = checkpoint["loops"]["fit_loop"]
    batches = loop["epoch_loop.batch_progress"]
    was_cut = batches["current"]["ready"] > 0 and not batches["is_last_batch"]
    done = loop["epoch_progress"]["current"]["processed"] - was_cut
    steps = checkpoint["global_step"]
    for name, limit, count in (("max_epochs", max_epochs, done), ("max_steps", max_steps, steps)):
        if limit is not None and 0 <= limit <= count:
            if concluded:
                raise UserError(f"trainer.{name} must be above {count} to go on: the run has finished, got {limit}")
            return
    if was_cut:
        raise UserError(
            f"ckpt_path must be a checkpoint of the end of an epoch, got one after {batches['current']['ready']} "
            f"batches of epoch {checkpoint['epoch'] + 1} (step {steps}), where trainer.max_steps, max_time or a "
            "validation within the epoch put it; what follows would not equal one training"
        )
