"""All options that a config stands for, defaults included."""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from tasks.training.trainer_cli import TrainingCLI
from tasks.training.warning_filters import quiet


def read_options(config: Path) -> dict[str, Any]:
    """Read a config as `hyperseq fit` does, without building anything.

    Args:
        config: The file.

    Returns:
        Nested options as plain values; those that the data decide are left out.

    Raises:
        SystemExit: With code 2, if the command would refuse the config; the reason is printed.
    """
    out = io.StringIO()
    try:
        with redirect_stdout(out), quiet():
            TrainingCLI(["fit", "--config", str(config), "--print_config"])
    except SystemExit as exit_:
        if exit_.code:
            raise
    return yaml.safe_load(out.getvalue())


def flat(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Walk through nested options.

    Args:
        options: The options.
        prefix: What the names begin with.

    Yields:
        Dotted name and value of each option, as they would be typed.
    """
    for name, value in options.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
