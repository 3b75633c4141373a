"""Which clips a data set has: a folder for each class, or a table of files."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.data.data_module import SPLITS
from tasks.errors import UserError
from tasks.speech.audio_files import find_audio_files

COLUMNS = ("path", "label", "split", "group", "fold", "start", "end")


class Clip(NamedTuple):
    """One clip: a file, or a part of it."""

    path: Path
    label: str
    split: str | None = None
    group: str | None = None
    fold: str | None = None
    start: float = 0.0
    end: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its file."""
        return self.end is None and not self.start

    @property
    def name(self) -> str:
        """The path; of a part of a file also its seconds."""
        if self.is_whole:
            return str(self.path)
        return f"{self.path}[{self.start:g}-{'' if self.end is None else f'{self.end:g}'}s]"


def list_class_folders(root: Path, *, group_by: str | None = None) -> list[Clip]:
    """List the audio files in the folders of a folder, each of which is named after a class.

    Args:
        root: The folder.
        group_by: Regular expression, searched in the path within the class folder. What its first parenthesis finds is
            the group, such as the speaker; files of one group come into one split.

    Raises:
        UserError: If there are no class folders, a class has no file, or a path has no group.
    """
    if not root.is_dir():
        raise UserError(f"root must be a folder with one folder for each class, got {root}")
    pattern = _compile(group_by)
    clips = []
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    for folder in folders:
        paths = find_audio_files(folder)
        if not paths:
            raise UserError(f"root must hold audio files in each of its folders, got none in {folder}")
        for path in paths:
            within = path.relative_to(folder).as_posix()
            found = pattern.search(within) if pattern else None
            if pattern and not found:
                raise UserError(f"group_by must be found in the path of each file, got {group_by!r} and {within!r}")
            clips.append(Clip(path, folder.name, group=found[1] if found else None))
    return clips


def read_clip_table(path: Path, *, root: Path) -> list[Clip]:
    """Read a CSV table with the columns `path` and `label`, and of `split`, `group`, `fold`, `start`, `end` any.

    Paths are relative to `root`. `split` is train, val or test; `start` and `end` are seconds.

    Raises:
        UserError: If the table is missing, has other columns, or a row breaks a rule; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"table must be a CSV file in UTF-8, got {path}: {error}") from error
    if not {"path", "label"} <= set(columns) <= set(COLUMNS):
        raise UserError(f"table must have the columns path and label, and may have {', '.join(COLUMNS[2:])}, got "
                        f"{', '.join(columns) or 'none'}")  # fmt: skip
    if not rows:
        raise UserError(f"table must have a row for each clip, got none in {path}")
    clips: dict[str, Clip] = {}
    for line, row in enumerate(rows, start=2):
        clip = _read_row(row, columns, root, f"{path} line {line}")
        if clips.setdefault(clip.name, clip) is not clip:
            raise UserError(f"{path} line {line} must name another clip than the lines before, got {clip.name} again")
    return list(clips.values())


def _read_row(row: dict[str, str], columns: Sequence[str], root: Path, place: str) -> Clip:
    if None in row or None in row.values():
        raise UserError(f"{place} must have {len(columns)} columns")
    for name in columns:
        if not row[name] and name not in ("start", "end"):
            raise UserError(f"{name} must be filled in, got none in {place}")
    if row.get("split", "train") not in SPLITS:
        raise UserError(f"split must be one of {', '.join(SPLITS)}, got {row['split']!r} in {place}")
    times = {}
    for name in ("start", "end"):
        try:
            times[name] = float(row[name]) if row.get(name) else None
        except ValueError:
            raise UserError(f"{name} must be seconds, got {row[name]!r} in {place}") from None
    return Clip(
        root / row["path"], row["label"], row.get("split"), row.get("group"), row.get("fold"),
        times["start"] or 0.0, times["end"],
    )  # fmt: skip


def _compile(group_by: str | None) -> re.Pattern[str] | None:
    if group_by is None:
        return None
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UserError(f"group_by must be a regular expression, got {group_by!r}: {error}") from error
    if not pattern.groups:
        raise UserError(f"group_by must have a parenthesis around the group, got {group_by!r}")
    return pattern
