"""The numbered folder that a training leaves behind."""

import json
import os
import shlex
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tasks.errors import UserError


@dataclass(frozen=True)
class RunFolder:
    """A folder `<root>/<name>/<number>` and the names of what lies in it."""

    path: Path

    @classmethod
    def create(cls, root: Path, name: str) -> "RunFolder":
        """Make the next numbered folder; two runs that start together get two folders.

        Raises:
            UserError: If `name` is not one plain folder name.
        """
        if Path(name).name != name or name in ("", ".", ".."):
            raise UserError(f"run.name must be one folder name, got {name!r}")
        named_folder = root / name
        named_folder.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name) for path in named_folder.iterdir() if path.name.isdecimal()]
        for number in count(max(taken, default=0) + 1):
            try:
                # mkdir is atomic: of two runs that want one number, one gets it and the other sees it taken.
                (named_folder / str(number)).mkdir()
            except FileExistsError:
                continue
            return cls(named_folder / str(number))
        raise AssertionError("counting never ends")

    @classmethod
    def owner(cls, checkpoint: Path) -> "RunFolder | None":
        """Return the run that wrote a checkpoint, or `None` if the file lies elsewhere."""
        run = cls(checkpoint.parents[1]) if checkpoint.parent.name == "checkpoints" else None
        return run if run is not None and run.config.is_file() else None

    @property
    def config(self) -> Path:
        """The whole configuration, accepted by every verb of the command."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One row of metrics an epoch."""
        return self.path / "metrics.csv"

    @property
    def results(self) -> Path:
        """The numbers of a finished run; absent while it trains, and when it failed."""
        return self.path / "results.json"

    @property
    def predictions(self) -> Path:
        """The predictions on the test split, one row a sample."""
        return self.path / "predictions.csv"

    @property
    def confusion_matrix(self) -> Path:
        """Counts of true and predicted classes on the test split, as a table; the picture has the suffix `.png`."""
        return self.path / "confusion_matrix.csv"

    @property
    def curves(self) -> Path:
        """Metrics and learning rates over the epochs, as a picture."""
        return self.path / "curves.png"

    @property
    def hyper_kernels(self) -> Path:
        """The hyper-kernels of the best weights, as a picture; absent for a network without hyper-kernels."""
        return self.path / "hyper_kernels.png"

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
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
