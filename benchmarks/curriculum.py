"""ListOps and Pathfinder from easy to hard: each stage goes on from the weights of the one before.

``python -m benchmarks.curriculum listops --seconds 2800`` trains by `hyperseq fit` and the config of the task, on short
expressions first, at last on those of the benchmark; Pathfinder begins with short paths. The seconds are CPU seconds of
the training in all stages together; validations and tests come on top. `--first-stage 4` goes on after a training that
was interrupted in stage 4. Further words go to `hyperseq fit`, as far as no stage has them. The last stage prints the
scores of the task.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from benchmarks.series_peers import add_training_options, name_run, timed_words
from tasks.cli import main as hyperseq
from tasks.errors import UserError
from tasks.runs.run_folder import RunFolder
from tasks.shipped import find_configs


class Stage(NamedTuple):
    """A part of a training."""

    share: float
    """Share of the seconds."""
    lr: float
    """Peak learning rate; every stage has a schedule of its own."""
    data: dict[str, int | bool]
    """Options of the data; none for the data of the benchmark."""


def _easy_paths(share: float, *, length: int, distractors: int = 0, lr: float = 6e-3, augment: bool = False) -> Stage:
    data = {"target_length": length, "num_distractors": distractors, "num_train": 20_000, "num_evaluated": 2_000}
    return Stage(share, lr, data | {"augment": augment})


STAGES = {
    "listops": (
        Stage(4 / 28, 8e-3, {"shortest": 10, "longest": 100, "batch_size": 64}),
        Stage(4 / 28, 4e-3, {"shortest": 50, "longest": 200, "batch_size": 32}),
        Stage(8 / 28, 4e-3, {"shortest": 100, "longest": 400, "batch_size": 16}),
        # At 4e-3 and batches of 8 the network forgets what it has learned.
        Stage(12 / 28, 1e-3, {}),
    ),
    "pathfinder": (
        _easy_paths(1 / 36, length=4),
        _easy_paths(2 / 36, length=5),
        _easy_paths(4 / 36, length=6),
        _easy_paths(6 / 36, length=8),
        # A network that follows 8 dashes does not follow 11, but most of 9. From here on it learns the images by heart,
        # unless these are turned and mirrored.
        _easy_paths(3 / 36, length=9, lr=4e-3, augment=True),
        _easy_paths(3 / 36, length=10, distractors=1, lr=4e-3, augment=True),
        _easy_paths(3 / 36, length=11, distractors=2, lr=4e-3, augment=True),
        _easy_paths(3 / 36, length=12, distractors=3, lr=4e-3, augment=True),
        _easy_paths(3 / 36, length=13, distractors=4, lr=4e-3, augment=True),
        Stage(8 / 36, 4e-3, {"augment": True}),
    ),
}
INTERRUPTED = (130, 143)
CONFIGS = {"listops": "lra/listops_mixer", "pathfinder": "lra/pathfinder_strided"}


def words_of(config: str, stage: Stage, part: str, *, seconds: float, seed: int, lr: float | None) -> list[str]:
    """Return the words of `hyperseq fit` for one stage; `part` names its run, `seconds` are those of all stages."""
    rate = stage.lr if lr is None else lr
    words = timed_words(config, part, seconds=stage.share * seconds, seed=seed, lr=rate)
    return words + [f"--data.{name}={value}" for name, value in stage.data.items()]


def find_taken(more: Sequence[str], words: Sequence[str]) -> str | None:
    """Return the first option of `more` that `words` have, too, or a part of, or that no stage can have."""
    has = {_name_of(word) for word in words}
    has |= {"ckpt_path", "data.class_path", "print_config", "run.start_from", "trainer.callbacks"}
    for word in more:
        name = _name_of(word)
        if word.startswith("-c") or (name and any(f"{one}.".startswith(f"{name}.") for one in has)):
            return word.partition("=")[0].removeprefix("--")
    return None


def _name_of(word: str) -> str:
    """Return the plain name of an option, which may be given below `init_args`, too; none of a value."""
    name = word.partition("=")[0].removeprefix("--") if word.startswith("--") else ""
    return ".".join(part for part in name.split(".") if part not in ("init_args", "dict_kwargs"))


def find_start(root: Path, name: str) -> Path | None:
    """Return the best weights of the newest run of a name; `None` if there is no run, or it has not finished."""
    runs = RunFolder.numbered(root / name)
    return runs[-1].checkpoint("best") if runs and runs[-1].results.is_file() else None


@contextmanager
def own(root: Path, name: str) -> Iterator[None]:
    """Let no other curriculum of this name train below a root: each would go on from the weights of the other.

    Raises:
        UserError: If one does, or the root cannot be written.
    """
    path = root / f".{name}.lock"
    lock = FileLock(path)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"run.root must be without another curriculum {name}, got one that trains in {root}") from error
    except OSError as error:
        raise UserError(f"run.root must be a folder that can be written, got {root}: {error.strerror}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def train(words: Sequence[Sequence[str]], names: Sequence[str], *, root: Path, first: int) -> int:
    """Train the stages from `first` on, by the words and under the run name of each; return the code of `main`.

    Raises:
        UserError: If the newest run of the stage before has not finished.
    """
    for number in range(first, len(words) + 1):
        start = []
        if number > 1:
            weights = find_start(root, names[number - 2])
            if weights is None:
                fault = f"no newest run in {root / names[number - 2]} that has finished"
                raise UserError(f"first-stage must be 1 or follow a finished stage, got {number} and {fault}")
            start = [f"--run.start_from={weights}"]
        print(f"\nStage {number} of {len(words)}", flush=True)
        if code := hyperseq([*words[number - 1], *start]):
            if code in INTERRUPTED:
                print(f"To go on: the same command with --first-stage {number}", flush=True)
            return code
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Train one task by stages; return the code of the first that fails, or 0."""
    parser = argparse.ArgumentParser(prog="benchmarks.curriculum", description=__doc__, allow_abbrev=False)
    parser.add_argument("task", choices=sorted(STAGES), help="the task")
    parser.add_argument("--config", help="a shipped config of the task, such as lra/listops_gru")
    parser.add_argument("--run.root", dest="root", type=Path, default=Path("runs"), help="folder of all runs")
    first_help = "stage to begin with, from the newest run of the stage before (%(default)s)"
    parser.add_argument("--first-stage", type=int, default=1, help=first_help)
    add_training_options(parser)
    arguments, more = parser.parse_known_args(argv)
    config = arguments.config or CONFIGS[arguments.task]
    known = [name for name in find_configs() if name.startswith(f"lra/{arguments.task}")]
    if config not in known:
        parser.error(f"config must be one of {', '.join(known)}, got {config}")
    if not arguments.seconds > 0:
        parser.error(f"seconds must be above 0, got {arguments.seconds}")
    stages, first = STAGES[arguments.task], arguments.first_stage
    if not 1 <= first <= len(stages):
        parser.error(f"first-stage must lie in [1, {len(stages)}], got {first}")
    parts = [f"stage{number}" for number in range(1, len(stages) + 1)]
    words = [
        words_of(config, stage, part, seconds=arguments.seconds, seed=arguments.seed, lr=arguments.lr)
        for stage, part in zip(stages, parts, strict=True)
    ]
    if taken := find_taken(more, [word for of_stage in words for word in of_stage]):
        parser.error(f"{taken} must be left out: the stages, or --seed, --lr and --seconds, decide it")
    root: Path = arguments.root
    names = [name_run(config, part, seed=arguments.seed) for part in parts]
    try:
        with own(root, name_run(config, "curriculum", seed=arguments.seed)):
            return train([[*each, *more, f"--run.root={root}"] for each in words], names, root=root, first=first)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    raise SystemExit(main())
