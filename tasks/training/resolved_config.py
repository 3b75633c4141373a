"""All options that a config stands for, defaults included."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import UserError
from tasks.training.cli_parser import RefusedOptions
from tasks.training.trainer_cli import TrainingCLI
from tasks.training.warning_filters import quiet


def read_options(config: Path) -> dict[str, Any]:
    """Read a config as `hyperseq fit` does, as plain values, without building anything.

    Options that the data decide are left out.

    Raises:
        UserError: If the command would refuse the config.
    """
    out = io.StringIO()
    try:
        with redirect_stdout(out), quiet():
            TrainingCLI(["fit", "--config", str(config), "--print_config"])
    except RefusedOptions as refused:
        raise UserError(refused.reason) from refused
    except SystemExit as exit_:
        if exit_.code:
            raise
    return yaml.safe_load(out.getvalue())
