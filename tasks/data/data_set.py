"""What `hyperseq data` must know of a published data set; imports neither torch nor Lightning, so that help is fast."""

from collections.abc import Callable, Sequence
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
    """

    name: str
    folder: str
    archives: tuple[Archive, ...]
    count_samples: Callable[[Path], dict[str, int]]
    aliases: tuple[str, ...] = ()

    def find_archives(self, root: Path) -> list[Path]:
        """Return the paths of all archives in the folder `root` of all data sets.

        Raises:
            UserError: If one is missing; the message names the command that fetches it.
        """
        paths = [root / self.folder / archive.name for archive in self.archives]
        for path in paths:
            if not path.is_file():
                raise UserError(
                    f"{path.name} is not in {path.parent}; prepare it with: hyperseq data prepare {self.name} "
                    f"--root {root}"
                )
        return paths


def find_data_sets() -> dict[str, DataSet]:
    """Collect the `DATA_SETS` of every group below `tasks` that has a folder `published`, by name and alias, sorted."""
    groups = [path.parent.name for root in import_module("tasks").__path__ for path in Path(root).glob("*/published")]
    found = [data_set for group in groups for data_set in import_module(f"tasks.{group}").DATA_SETS]
    names = {name: data_set for data_set in found for name in (data_set.name, *data_set.aliases)}
    return dict(sorted(names.items()))


def find_folder(root: Path, choices: Sequence[str], *, holds: str) -> Path:
    """Return the first folder of `choices` below `root` that holds the file or folder `holds`.

    Raises:
        UserError: If none does; the message lists where it was looked for.
    """
    for choice in choices:
        if (root / choice / holds).exists():
            return root / choice
    places = ", ".join(str(root / choice) for choice in choices)
    raise UserError(f"{holds} must be in one of {places}, got none of them with it")
