"""The numbered folder that a training leaves behind."""

import json
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import isfinite
from pathlib import Path
from shutil import disk_usage
from typing import Any, BinaryIO

import yaml
from filelock import FileLock, Timeout

from tasks.errors import UserError


@dataclass(frozen=True)
class RunFolder:
    """A folder `<root>/<name>/<number>` and the names of what lies in it."""

    path: Path

    @classmethod
    def create(cls, root: Path, name: str) -> "RunFolder":
        """Make the next numbered folder; two runs that start together get two folders.

        Raises:
            UserError: If `name` is not one plain folder name, or the folder cannot be made.
        """
        if Path(name).name != name or name in ("", ".", ".."):
            raise UserError(f"run.name must be one folder name, got {name!r}")
        named_folder = root / name
        try:
            named_folder.mkdir(parents=True, exist_ok=True)
            taken = cls.numbered(named_folder)
            for number in count(int(taken[-1].path.name) + 1 if taken else 1):
                # mkdir is atomic: of two runs that want one number, one gets it and the other sees it taken.
                with suppress(FileExistsError):
                    (named_folder / str(number)).mkdir()
                    return cls(named_folder / str(number))
        except OSError as error:
            raise UserError(f"run.root must be a folder that can be written, got {root}: {error.strerror}") from error
        raise AssertionError("counting never ends")

    @classmethod
    def numbered(cls, named_folder: Path) -> "list[RunFolder]":
        """Return the runs of one name, by number: the newest comes last. There are none where there is no folder."""
        if not named_folder.is_dir():
            return []
        folders = [path for path in named_folder.iterdir() if path.name.isdecimal()]
        return [cls(path) for path in sorted(folders, key=lambda path: int(path.name))]

    def lock(self) -> FileLock:
        """Take the run for this process, so that no other one trains it; `release` gives it back, as its end does.

        Raises:
            UserError: If another process has it, or it cannot be written.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(f"ckpt_path must lie in a run that no other process trains, got {self.path}") from error
        except OSError as error:
            raise UserError(f"the run must lie in a writable folder, got {self.path}: {error.strerror}") from error
        return lock

    def release(self, lock: FileLock) -> None:
        """Give the run back and leave no file of the lock."""
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()

    def discard(self, root: Path) -> None:
        """Remove the folder, and those above it up to `root`, as far as they are empty."""
        for folder in (self.path, *self.path.parents):
            try:
                folder.rmdir()
            except OSError:
                return
            if folder == root:
                return

    @classmethod
    def owner(cls, checkpoint: Path) -> "RunFolder | None":
        """Return the run that wrote a checkpoint, or `None` if the file lies elsewhere."""
        run = cls(checkpoint.parents[1]) if checkpoint.parent.name == "checkpoints" else None
        return run if run is not None and run.config.is_file() else None

    @property
    def config(self) -> Path:
        """The whole configuration, accepted by every verb of the command."""
        return self.path / "config.yaml"

    def read_config(self) -> dict[str, Any]:
        """Return the content of `config`; empty for an empty file."""
        return yaml.safe_load(self.config.read_text(encoding="utf-8")) or {}

    @property
    def metrics(self) -> Path:
        """One row of metrics an epoch."""
        return self.path / "metrics.csv"

    @property
    def results(self) -> Path:
        """The numbers of a finished run; absent while it trains, and when it failed."""
        return self.path / "results.json"

    def read_results(self) -> dict[str, Any]:
        """Return the content of `results`; empty if there is no such file, `UserError` if it is damaged."""
        if not self.results.is_file():
            return {}
        try:
            return json.loads(self.results.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{self.results} must be JSON, as the training wrote it, got: {error}") from error

    @property
    def predictions(self) -> Path:
        """The predictions on the test split, one row a sample."""
        return self.path / "predictions.csv"

    @property
    def confusion_matrix(self) -> Path:
        """Counts of true and predicted classes on the test split, as a table; the picture has the suffix `.png`."""
        return self.path / "confusion_matrix.csv"

    @property
    def class_scores(self) -> Path:
        """Precision, recall and F1 of each class on the test split, and their means."""
        return self.path / "class_scores.csv"

    @property
    def mistakes(self) -> Path:
        """The wrong predictions on the test split, the most certain one first."""
        return self.path / "mistakes.csv"

    @property
    def curves(self) -> Path:
        """Metrics and learning rates over the epochs, as a picture."""
        return self.path / "curves.png"

    @property
    def hyper_kernels(self) -> Path:
        """The hyper-kernels of the best weights, as a picture; absent for a network without hyper-kernels."""
        return self.path / "hyper_kernels.png"

    @property
    def sequences(self) -> Path:
        """Some sequences of the test split with prediction and fast weights; absent where samples have no names."""
        return self.path / "sequences.png"

    @property
    def scatter(self) -> Path:
        """Predicted against true numbers of the test split, as a picture; absent where classes are predicted."""
        return self.path / "scatter.png"

    @property
    def splits(self) -> Path:
        """The split of each sample, by name; absent where samples have no names."""
        return self.path / "splits.csv"

    @property
    def error(self) -> Path:
        """Why the run failed."""
        return self.path / "error.txt"

    def command(self, verb: str, checkpoint: str | None = None) -> str:
        """Return the command that does something with this run; `checkpoint` is `last` to continue it."""
        words = ["hyperseq", verb, "--config", str(self.config)]
        return shlex.join(words + (["--ckpt_path", str(self.checkpoint(checkpoint))] if checkpoint else []))

    def predict_command(self) -> str:
        """Return the command that predicts new files; the files follow."""
        return shlex.join(["hyperseq", "predict", "--run", str(self.path)])

    def checkpoint(self, name: str) -> Path:
        """Return the path of the `best` or `last` checkpoint, whether it exists or not."""
        return self.path / "checkpoints" / f"{name}.ckpt"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all; numbers that are not finite, which JSON lacks, become `null`."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_whole(path: Path, write: Callable[[BinaryIO], Any], *, check: Callable[[Path], None] | None = None) -> None:
    """Write a file whole or not at all; `write` fills an open file, `check` looks at the closed one.

    Raises:
        UserError: If the file cannot be written, such as to a full disk. An earlier file at `path` is then kept.
    """
    # Beside the target: a file can replace another in one step on one file system alone.
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if check:
            check(part)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        free = disk_usage(path.parent).free / 2**20
        raise UserError(f"{path} could not be written: {error.strerror}, {free:,.1f} MiB are free") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not isfinite(content) else content
