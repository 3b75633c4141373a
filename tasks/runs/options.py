"""The options of runs, compared."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Options = dict[str, Any]
"""Values by dotted name, as they would be typed."""

# Two runs that differ in these options alone measure the same thing.
LEFT_OUT = re.compile(
    r"seed_everything|run\.(root|num_threads|import_from)|data\.init_args\.(root|num_workers)"
    r"|trainer\.(accelerator|default_root_dir|enable_progress_bar)"
)


START_FROM = "run.start_from"
"""The option that names the weights a training starts from."""


def flatten(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of each nested option.

    Example:
        >>> dict(flatten({"model": {"lr": 0.1}, "seed": 3}))
        {'model.lr': 0.1, 'seed': 3}
    """
    for name, value in options.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def drop_run_specific(options: Options) -> Options:
    """Drop what two runs that measure the same thing may differ in: seed, threads, folders and other paths.

    Weights to start from stay, wherever they lie: they are no place but a part of the training.
    """
    return {
        name: value
        for name, value in options.items()
        if name == START_FROM or not LEFT_OUT.fullmatch(name) and not _holds_path(value)
    }


def find_differences(options: Sequence[Options]) -> list[Options]:
    """Keep of each mapping the options that are not the same in all; one that others have and it lacks is `None`.

    Example:
        >>> find_differences([{"lr": 0.1, "size": 3}, {"lr": 0.2, "size": 3}])
        [{'lr': 0.1}, {'lr': 0.2}]
    """
    names = dict.fromkeys(name for each in options for name in each)
    differ = [name for name in names if any(each.get(name) != options[0].get(name) for each in options)]
    return [{name: each.get(name) for name in differ} for each in options]


def _holds_path(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_path, value.values()))
    if isinstance(value, list):
        return any(map(_holds_path, value))
    return isinstance(value, str) and (Path(value).is_absolute() or value.startswith("~"))
