"""What `hyperseq data` must know of a published data set; imports neither torch nor Lightning, so that help is fast."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tasks.data.archives import Archive
from tasks.errors import UserError


@dataclass(frozen=True)
class DataSet:
    """A data set that is published in archives.

    `tasks/<group>/published/<name>.py` holds it as `DATA_SET`; `tasks/<group>/__init__.py` lists it in `DATA_SETS`.

    Attributes:
        name: Its data module within `tasks`, such as `images.mnist`.
        folder: Its folder within the folder of all data sets.
        archives: The published files.
        count_samples: Given the folder of all data sets, read the archives and count the samples of each split.
        aliases: Other names that `hyperseq data` accepts, such as `lra.image`.
        places: Where it may lie unpacked below the folder of all data sets, the first choice first.
        holds: The file or folder that such a place has.
        members: Folder of the only archive, and below the folder of all data sets, that is unpacked to be read.
        options: Words that `hyperseq fit` needs to read it.
        purpose: A line for the list of all data sets, where neither a data module nor a reader of this name has one.
    """

    name: str
    folder: str
    archives: tuple[Archive, ...]
    count_samples: Callable[[Path], dict[str, int]]
    aliases: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    holds: str = ""
    members: str = ""
    options: tuple[str, ...] = ()
    purpose: str = ""

    def find_place(self, root: Path) -> Path | None:
        """Return the first place below the folder `root` of all data sets where the data lie unpacked, or `None`."""
        return next((root / place for place in self.places if (root / place / self.holds).exists()), None)

    def get_place(self, root: Path) -> Path:
        """Return the first place where the data lie unpacked.

        Raises:
            UserError: If there is none; the message lists where it was looked for and names the command that helps.
        """
        if place := self.find_place(root):
            return place
        choices = ", ".join(str(root / place) for place in self.places)
        without = ", ".join(map(str, self.find_incomplete(root)))
        found = f"{without} without it" if without else "none of them"
        raise UserError(f"{self.holds} must be in one of {choices}, got {found}; prepare it with: {self.command(root)}")

    def find_incomplete(self, root: Path) -> list[Path]:
        """Return the places below `root` that exist, but lack what they should hold."""
        folders = [root / place for place in self.places]
        return [folder for folder in folders if folder.is_dir() and not (folder / self.holds).exists()]

    def command(self, root: Path, *, replace: bool = False) -> str:
        """Return the command that prepares it."""
        return shlex.join(["hyperseq", "data", "prepare", self.name, "--root", str(root)] + ["--replace"] * replace)

    def find_archives(self, root: Path) -> list[Path]:
        """Return the paths of all archives in the folder `root` of all data sets.

        Raises:
            UserError: If one is missing; the message names the command that fetches it.
        """
        paths = [root / self.folder / archive.name for archive in self.archives]
        for path in paths:
            if not path.is_file():
                raise UserError(f"{path.name} is not in {path.parent}; prepare it with: {self.command(root)}")
        return paths


def find_data_sets() -> dict[str, DataSet]:
    """Collect the `DATA_SETS` of every group below `tasks` that has a folder `published`, by name and alias, sorted."""
    groups = [path.parent.name for root in import_module("tasks").__path__ for path in Path(root).glob("*/published")]
    found = [data_set for group in groups for data_set in import_module(f"tasks.{group}").DATA_SETS]
    names = {name: data_set for data_set in found for name in (data_set.name, *data_set.aliases)}
    return dict(sorted(names.items()))
