"""One training of a benchmark, a task with a seed: what became of it, and how it is begun or continued."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.bench.claimed import MEMORY
from tasks.bench.claims import Claim, is_held
from tasks.errors import UserError
from tasks.runs.run_folder import RunFolder, write_json

State = Literal["finished", "failed", "running", "interrupted", "open"]

CHECKOUT = Path(__file__).resolve().parents[2]

# A run is one process on one device, whatever started the benchmark: Lightning must not join the processes to one run.
LAUNCHERS = re.compile(
    r"SLURM_\w+|PMI_\w+|OMPI_\w+|TORCHELASTIC_\w+|(LOCAL_|GROUP_|ROLE_)?(RANK|WORLD_SIZE)|MASTER_(ADDR|PORT)"
)


@dataclass(frozen=True)
class Job:
    """One training: the config, the options that the budget and the user add, the seed, and `<root>/<name>`.

    `part` is the value of the option that trainings of a task differ in, such as the fold that tests.
    `command` is the module that trains; tests put another one in its place.
    """

    task: str
    seed: int
    config: Path
    options: tuple[str, ...]
    root: Path
    name: str
    command: str = "tasks.cli"
    part: str = ""

    @property
    def folder(self) -> Path:
        """The folder that holds the run, its log and its claims."""
        return self.root / self.name

    @property
    def log(self) -> Path:
        """What the training printed."""
        return self.folder / "log.txt"

    def check_same(self) -> None:
        """Check that what lies in the folder was begun by the same config and options.

        Raises:
            UserError: If it was not.
        """
        path, asked = self.folder / "asked.json", self._asked()
        if not path.is_file():
            return
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} must be JSON, as bench wrote it, got: {error}") from error
        for name in ("options", "config", "seed"):
            if begun.get(name) != asked[name]:
                was = f", which were {' '.join(begun.get(name) or ['none'])}" if name == "options" else ""
                raise UserError(
                    f"{name} must be as when {self.folder} was begun{was}, got others: give these, or another --root"
                )

    def state(self) -> State:
        """Return what became of the run."""
        if self.results() is not None:
            return "finished"
        claims = self.folder / "claims"
        numbers = [int(path.name) for path in claims.glob("*") if path.name.isdecimal()]
        if numbers and is_held(claims / str(max(numbers))):
            return "running"
        if self._failure.is_file() or any(run.error.is_file() for run in self._runs()):
            return "failed"
        return "interrupted" if self._runs() else "open"

    def results(self) -> dict[str, Any] | None:
        """Return the numbers of the finished run, or `None`."""
        for run in self._runs():
            # A run that is begun anew removes its numbers.
            with suppress(FileNotFoundError):
                if results := run.read_results():
                    return {**results, "memory": self._memory()}
        return None

    def act(self, *, retry_failed: bool) -> State:
        """Begin or continue the run, unless it is finished, failed before, or held by another process.

        Returns:
            What became of it; `running` if another process holds it.
        """
        if self.results() is not None:
            return "finished"
        claim = Claim.take(self.folder / "claims")
        if claim is None:
            return "running"
        try:
            # Finished by another process in the meantime, perhaps.
            if self.results() is not None:
                return "finished"
            failed = self._failure.is_file() or any(run.error.is_file() for run in self._runs())
            if failed and not retry_failed:
                return "failed"
            self._failure.unlink(missing_ok=True)
            write_json(self.folder / "asked.json", self._asked())
            code = self._train(claim)
            if claim.is_lost():
                return "running"
            if code == 0 and self.results() is not None:
                return "finished"
            if code < 0 or code in (130, 143):
                # Killed, for memory or by a person: nothing is wrong with the run itself.
                return "interrupted"
            write_json(self._failure, {"exit_code": code, "log": self.log.name})
            return "failed"
        finally:
            claim.release()

    def words(self) -> list[str]:
        """Return the words that begin the run, or continue it where a checkpoint lies."""
        for run in self._runs():
            if (last := run.checkpoint("last")).is_file():
                return ["fit", "--config", str(run.config), "--ckpt_path", str(last)]
        # One device: several would train one run together.
        place = [
            "--trainer.devices=1",
            "--run.root",
            str(self.root),
            "--run.name",
            self.name,
            "--seed_everything",
            str(self.seed),
        ]
        return ["fit", "--config", str(self.config), *place, *self.options]

    def reason(self) -> str:
        """Return the last line that the training printed."""
        with suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def _train(self, claim: Claim) -> int:
        # The current folder does not come first, as in the command itself: a user's own tasks.py hides nothing.
        code = f"import sys; sys.path[0] = {str(CHECKOUT)!r}; from tasks.bench.claimed import main; main()"
        words = [sys.executable, "-c", code, str(claim.path.resolve()), self.command, *self.words()]
        environment = choose_environment(os.environ)
        with self.log.open("ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment)
            try:
                return process.wait()
            except KeyboardInterrupt:
                # Ctrl-C reached the training, too: it keeps its last epoch and ends.
                process.wait()
                raise

    def _memory(self) -> dict[str, int]:
        # Missing or half written where the process was killed.
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / MEMORY).read_text(encoding="utf-8")))
        return {}

    def _runs(self) -> list[RunFolder]:
        return [run for run in reversed(RunFolder.numbered(self.folder)) if run.config.exists()]

    @property
    def _failure(self) -> Path:
        return self.folder / "failure.json"

    def _asked(self) -> dict[str, Any]:
        return {"config": self.config.read_text(encoding="utf-8"), "options": list(self.options), "seed": self.seed}


def plan_jobs(
    configs: dict[str, Path],
    *,
    group: str,
    seeds: Sequence[int],
    budget: str,
    options: dict[str, tuple[str, ...]],
    root: Path,
    command: str = "tasks.cli",
    over: tuple[str, Sequence[str]] | None = None,
) -> list[Job]:
    """Return every task with every seed, and with every value of the option `over`, if there is one.

    All tasks with the first seed come first, so that a table fills evenly.
    """
    option, values = over or ("", [""])
    jobs = []
    for seed in seeds:
        for part in values:
            for task, config in configs.items():
                words = (*options[task], *([f"--{option}={part}"] if part else []))
                name = f"{group}-{task}-{budget}-seed{seed}" + (f"-{part}" if part else "")
                jobs.append(Job(task, seed, config, words, root, name, command, part))
    return jobs


def choose_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a training: that of the benchmark, without what a launcher says of other processes.

    Under torchrun each process of a machine gets the GPU of its local rank.

    Raises:
        UserError: If there are fewer visible devices than local ranks.

    Example:
        >>> choose_environment({"RANK": "5", "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,7", "SLURM_NTASKS": "8"})
        {'CUDA_VISIBLE_DEVICES': '7'}
    """
    environment = {name: value for name, value in outer.items() if not LAUNCHERS.fullmatch(name)}
    if (rank := outer.get("LOCAL_RANK")) is not None:
        visible = outer.get("CUDA_VISIBLE_DEVICES")
        devices = visible.split(",") if visible else None
        if devices and int(rank) >= len(devices):
            raise UserError(f"LOCAL_RANK must be below the {len(devices)} visible devices, got {rank}")
        environment["CUDA_VISIBLE_DEVICES"] = devices[int(rank)] if devices else rank
    return environment
