"""Modules of a user that no package holds: they are found beside the config and in the current folder."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


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


def read_import_folders(config: Path) -> list[Path]:
    """Read the folders that a run imported from; an invalid config, which the parser explains later, names none."""
    try:
        options = yaml.safe_load(config.read_text(encoding="utf-8"))
        return [Path(folder) for folder in options["run"]["import_from"]]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return []


def choose_import_folders(config: dict[str, Any], folders: list[Path]) -> list[Path]:
    """Choose the folders to record: all of them, or none where the config names no module that lies in one."""
    names = {text.split(".")[0] for text in _texts(config) if "." in text} - {"hyperseq", "tasks"}
    found = any((folder / name).is_dir() or (folder / f"{name}.py").is_file() for name in names for folder in folders)
    return folders if found else []


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
