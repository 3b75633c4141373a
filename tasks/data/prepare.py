"""`hyperseq data prepare` and `hyperseq data check`: the archives of a data set on disk, fetched and verified."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from tasks.data.archives import Archive, find_fault
from tasks.data.data_set import DataSet
from tasks.data.download import fetch_archive
from tasks.data.tar_members import unpack_folder
from tasks.errors import UserError


def prepare(data_set: DataSet, *, root: Path, replace: bool, console: Console) -> bool:
    """Fetch the archives that are missing, print the table of all, and return whether all are there and right.

    With `replace`, archives with a wrong checksum are fetched, too; otherwise one of them prevents all fetching. What
    lies unpacked needs no archive; with `replace` it is unpacked anew if it is broken.

    Raises:
        OSError: If no mirror has an archive, or if it cannot be written.
        UserError: If the root is no folder, an archive or what lies unpacked is broken, or the disk has no room.
    """
    if data_set.find_place(root) and (not replace or _is_whole(data_set, root=root)):
        return check(data_set, root=root, console=console) and _say_next(data_set, root=root, console=console)
    faults = _find_faults(data_set, root=root)
    folder = root / data_set.folder
    if replace and not data_set.members and data_set.find_place(root):
        # What lies there is broken, which no checksum may tell.
        faults = {archive: "its content is broken" for archive in data_set.archives if archive.md5 is None} | faults
    wrong = [archive for archive in faults if (folder / archive.name).is_file()]
    if faults and (replace or not wrong):
        try:
            with _sole_access(folder, root=root, console=console), _progress(console) as progress:
                for archive in faults:
                    # While this process waited, another one may have fetched it.
                    if archive in wrong or find_fault(archive, folder / archive.name):
                        fetch_archive(archive, path=folder / archive.name, progress=progress)
        except KeyboardInterrupt:
            console.print("\nInterrupted; what has arrived is kept. To continue:")
            console.print(f"  {data_set.command(root, replace=replace)}")
            raise
        faults = {}
    if data_set.members and not faults:
        with _sole_access(folder, root=root, console=console):
            console.print(f"Unpacking {data_set.members} (the archive is read twice)")
            unpack_folder(folder / data_set.archives[0].name, data_set.members, root=root)
    whole = _report(data_set, faults, root=root, console=console)
    return whole and _say_next(data_set, root=root, console=console)


def check(data_set: DataSet, *, root: Path, console: Console) -> bool:
    """Verify the archives of a data set, or what lies unpacked, and print what is there; as `prepare` otherwise.

    Raises:
        UserError: If the root is no folder, or an archive or what lies unpacked is broken.
    """
    if place := data_set.find_place(root):
        console.print(place)
        _print_counts(data_set, root=root, console=console)
        return True
    faults = _find_faults(data_set, root=root)
    if data_set.members and not faults:
        console.print(f"{data_set.archives[0].name} is whole, but not unpacked. To unpack what is needed:")
        console.print(f"  {data_set.command(root)}")
        return False
    return _report(data_set, faults, root=root, console=console)


def _is_whole(data_set: DataSet, *, root: Path) -> bool:
    try:
        data_set.count_samples(root)
    except UserError:
        return False
    return True


def _say_next(data_set: DataSet, *, root: Path, console: Console) -> bool:
    console.print("\nNext:")
    for config in _find_configs(data_set) or [Path("CONFIG")]:
        words = ("hyperseq", "fit", "--config", str(config), "--data.init_args.root", str(root), *data_set.options)
        console.print(f"  {shlex.join(words)}")
    return True


def _print_counts(data_set: DataSet, *, root: Path, console: Console) -> None:
    counts = data_set.count_samples(root)
    console.print("samples: " + ", ".join(f"{count:,} {split}" for split, count in counts.items()))


def _find_faults(data_set: DataSet, *, root: Path) -> dict[Archive, str]:
    """Return what is wrong with each archive that is not right."""
    if root.exists() and not root.is_dir():
        raise UserError(f"root must be a folder, got the file {root}")
    faults = {archive: find_fault(archive, root / data_set.folder / archive.name) for archive in data_set.archives}
    return {archive: fault for archive, fault in faults.items() if fault}


def _report(data_set: DataSet, faults: dict[Archive, str], *, root: Path, console: Console) -> bool:
    """Print the table, then the number of samples, or how to repair what is wrong."""
    folder = root / data_set.folder
    table = Table("file")
    for column in ("bytes", "checksum"):
        table.add_column(column, justify="right")
    for archive in data_set.archives:
        path = folder / archive.name
        size = f"{path.stat().st_size:,}" if path.is_file() else ""
        right = "right" if archive.md5 else "none published"
        table.add_row(archive.name, size, ("wrong" if size else "missing") if archive in faults else right)
    console.print(folder)
    console.print(table)
    if not faults:
        _print_counts(data_set, root=root, console=console)
        return True
    wrong = {archive.name: fault for archive, fault in faults.items() if (folder / archive.name).is_file()}
    for name, fault in wrong.items():
        console.print(f"{name}: {fault}")
    for place in data_set.find_incomplete(root):
        if place != folder:
            console.print(f"{place} is not read: it has no {data_set.holds}")
    console.print("\nTo repair it:")
    console.print(f"  {data_set.command(root, replace=bool(wrong))}")
    return False


def _find_configs(data_set: DataSet) -> list[Path]:
    """Return the configs below the current folder, as in a clone, of one of its names or with a class of its module.

    Several data sets can share a data module.
    """
    paths = sorted(Path("configs").rglob("*.yaml"))
    return [
        path
        for path in paths
        if f"{path.parent.name}.{path.stem}" in (data_set.name, *data_set.aliases)
        or f" tasks.{data_set.name}." in path.read_text(encoding="utf-8")
    ]


@contextmanager
def _sole_access(folder: Path, *, root: Path, console: Console) -> Iterator[None]:
    """Make the folder and lock it: a second process waits, since two that append to one file would spoil it."""
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        console.print(f"Another process prepares {folder}; waiting for it.")
        lock.acquire()
    except OSError as error:
        raise OSError(f"root must be a folder that can be written to, got {root}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _progress(console: Console) -> Progress:
    columns = BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    name = TextColumn("{task.description}", markup=False)
    return Progress(name, *columns, console=console, disable=not console.is_terminal)
