"""Which weights a run keeps, and how they are found again."""

import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from tasks.runs.run_folder import RunFolder


class BestCheckpoint(ModelCheckpoint):
    """Keep the epoch with the highest validation score, also when the training is resumed into a new folder.

    Args:
        folder: Folder of the checkpoint.
        resumed: Checkpoint that the training continues, if any; the best one so far lies beside it.
    """

    def __init__(self, folder: Path, resumed: Path | None = None) -> None:
        super().__init__(dirpath=folder, filename="best", monitor="val/score", mode="max", enable_version_counter=False)
        self._resumed = resumed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best weights so far; Lightning's own would forget them because the folder is new.

        Args:
            state_dict: State of this callback in the resumed checkpoint.
        """
        before = self._resumed.with_name("best.ckpt") if self._resumed else None
        if before is None or not before.is_file():
            return
        now = Path(self.dirpath) / "best.ckpt"
        now.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(before, now)
        self.best_model_path = self.kth_best_model_path = str(now)
        self.best_model_score = self.kth_value = state_dict["best_model_score"]
        self.best_k_models = {str(now): state_dict["best_model_score"]}


class LastCheckpoint(ModelCheckpoint):
    """Keep the last finished epoch, from which an interrupted training continues.

    Args:
        folder: Folder of the checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(dirpath=folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing over: the folder is new, and its last epoch is still to come.

        Args:
            state_dict: State of this callback in the resumed checkpoint.
        """


def checkpoint_callbacks(run: RunFolder, resumed: Path | None) -> list[Callback]:
    """Build the callbacks that write `checkpoints/best.ckpt` and `checkpoints/last.ckpt`.

    Args:
        run: Folder of the run.
        resumed: Checkpoint that the training continues, if any.

    Returns:
        The callbacks.
    """
    folder = run.checkpoint("best").parent
    return [BestCheckpoint(folder, resumed), LastCheckpoint(folder)]


def find_checkpoint(wanted: str, run: RunFolder) -> Path:
    """Find the weights that `--ckpt_path` asks for.

    Args:
        wanted: `best`, `last` or a path.
        run: Folder that `best` and `last` belong to.

    Returns:
        A whole checkpoint.

    Raises:
        ValueError: If there is no such file, or it is no checkpoint.
    """
    path = run.checkpoint(wanted) if wanted in ("best", "last") else Path(wanted)
    if not path.is_file():
        raise ValueError(
            f"ckpt_path must lead to a checkpoint, got {wanted!r} and there is no {path}; "
            "give the config.yaml of a finished run, or --ckpt_path FILE"
        )
    read_checkpoint(path)
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of plain values and tensors.

    Args:
        path: The file.

    Returns:
        Its content, on the CPU.

    Raises:
        ValueError: If the file is no checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise ValueError(f"ckpt_path must be a whole checkpoint, got {path}") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ValueError(f"ckpt_path must be a checkpoint of a training, got {path}")
    return content


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a checkpoint.

    Args:
        model: The model, as its config builds it.
        path: The checkpoint.

    Raises:
        ValueError: If the weights are those of another model.
    """
    try:
        model.load_state_dict(read_checkpoint(path)["state_dict"])
    except RuntimeError as error:
        # The first line names the class, the others each a weight; one of them says enough.
        detail = str(error).splitlines()[1].strip()
        raise ValueError(f"ckpt_path must hold the weights of the config's model, got {path}: {detail}") from error
