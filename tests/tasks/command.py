"""The command `hyperseq`, called in this process, and a training that takes a second."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from tasks.cli import main

ROOT = Path(__file__).parents[2]
DIGITS = str(ROOT / "configs/images/digits.yaml")
TINY = (
    "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=2",
    "--data.batch_size=128",
    "--model.backbone.channels=[4,8]",
    "--model.backbone.slow_hidden_channels=4",
)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def hyperseq(*words: object) -> Answer:
    """Run the command and keep what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    return Answer(code, out.getvalue(), err.getvalue())


def fit(root: Path, *words: object, config: object = DIGITS) -> Answer:
    """Train the tiny model; it must work."""
    answer = hyperseq("fit", "--config", config, "--run.root", root, *TINY, *words)
    assert answer.code == 0, answer.err
    return answer
