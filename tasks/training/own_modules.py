"""Modules of a user that no package holds: they are found beside the config and in the current folder."""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

OURS = {"hyperseq", "tasks"}
IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def add_import_folders(words: list[str]) -> list[Path]:
    """Let Python import from the folders of the configs, from the current one, and from those that a run recorded.

    The folders come last on `sys.path`: no installed package is hidden by a file of the same name.
    """
    files = find_config_files(words)
    recorded = [folder for file in files for folder in read_import_folders(file)]
    folders = list(dict.fromkeys([*(file.resolve().parent for file in files), Path.cwd(), *recorded]))
    sys.path.extend(str(folder) for folder in folders if str(folder) not in sys.path)
    return folders


def find_config_files(words: list[str]) -> list[Path]:
    """Find the configs among the words of the command line that are files."""
    named = [*_values(words, "--config"), *_values(words, "-c")]
    return [file for file in map(Path, named) if file.is_file()]


def import_own_modules(words: list[str], folders: list[Path]) -> None:
    """Import the user's own modules that the configs and the words name: an error in one keeps its traceback.

    jsonargparse would tell the message of the error alone, among those of all types that it tried.
    """
    texts = [word.split("=", 1)[-1] for word in words]
    for file in find_config_files(words):
        texts += _texts(yaml.safe_load(file.read_text(encoding="utf-8")))
    for module in dict.fromkeys(text.rpartition(".")[0] for text in texts if IMPORT_PATH.fullmatch(text)):
        name = module.split(".")[0]
        if name not in OURS and any(_holds(folder, name) for folder in folders):
            try:
                import_module(module)
            except ModuleNotFoundError as error:
                if not error.name or not f"{module}.".startswith(f"{error.name}."):
                    raise


def read_import_folders(config: Path) -> list[Path]:
    """Read the folders that a run imported from; an invalid config, which the parser explains later, names none."""
    try:
        options = yaml.safe_load(config.read_text(encoding="utf-8"))
        return [Path(folder) for folder in options["run"]["import_from"]]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return []


def choose_import_folders(config: dict[str, Any], folders: list[Path]) -> list[Path]:
    """Choose the folders to record: all of them, or none where the config names no module that lies in one."""
    names = {text.split(".")[0] for text in _texts(config) if "." in text} - OURS
    return folders if any(_holds(folder, name) for name in names for folder in folders) else []


def _holds(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


def _values(words: list[str], flag: str) -> Iterator[str]:
    for number, word in enumerate(words):
        if word.startswith(f"{flag}="):
            yield word.split("=", 1)[1]
        elif word == flag and number + 1 < len(words):
            yield words[number + 1]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
