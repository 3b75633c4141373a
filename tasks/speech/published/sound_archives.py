"""Archives of sounds with a table of folds and classes: ESC-50 and UrbanSound8K."""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.data.tar_members import iterate_tar_members
from tasks.errors import UserError


class Sound(NamedTuple):
    """One clip of an archive."""

    member: str
    label: str
    fold: str


def iterate_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files of a zip or tar.gz archive, in its order.

    Raises:
        UserError: If the archive is broken.
    """
    if path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as zipped:
                yield from ((name, zipped.read(name)) for name in zipped.namelist())
        except zipfile.BadZipFile as error:
            raise UserError(f"{path} must be a whole zip archive, got: {error}") from error
        return
    for name, content in iterate_tar_members(path, wanted=lambda name: True):
        yield name, content or b""


def read_table(path: Path, member: str, *, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the CSV table of an archive.

    Raises:
        UserError: If the table is missing, or lacks one of the columns.
    """
    for name, content in iterate_members(path):
        if name == member:
            reader = csv.DictReader(io.StringIO(content.decode("utf-8")))
            found = reader.fieldnames or ()
            if missing := [column for column in columns if column not in found]:
                raise UserError(f"{member} must have a column {missing[0]}, got {', '.join(found)}")
            return list(reader)
    raise UserError(f"{path} must hold {member}, got an archive without it")
