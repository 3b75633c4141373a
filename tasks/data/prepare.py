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
from tasks.errors import UserError


def prepare(data_set: DataSet, *, root: Path, replace: bool, console: Console) -> bool:
    """Fetch the archives that are missing, print the table of all, and return whether all are there and right.

    With `replace`, archives with a wrong checksum are fetched, too; otherwise one of them prevents all fetching.

    Raises:
        OSError: If no mirror has an archive, or if it cannot be written.
        UserError: If the root is no folder, or an archive is broken.
    """
    faults = _find_faults(data_set, root=root)
    folder = root / data_set.folder
    wrong = [archive for archive in faults if (folder / archive.name).is_file()]
    if faults and (replace or not wrong):
        try:
            with _sole_access(folder, root=root, console=console), _progress(console) as progress:
                for archive in faults:
                    # While this process waited, another one may have fetched it.
                    if find_fault(archive, folder / archive.name):
                        fetch_archive(archive, path=folder / archive.name, progress=progress)
        except KeyboardInterrupt:
            console.print("\nInterrupted; what has arrived is kept. To continue:")
            console.print(f"  {_command(data_set, root=root, replace=replace)}")
            raise
        faults = {}
    if not _report(data_set, faults, root=root, console=console):
        return False
    console.print("\nNext:")
    for config in _find_configs(data_set) or [Path("CONFIG")]:
        words = ("hyperseq", "fit", "--config", str(config), "--data.init_args.root", str(root))
        console.print(f"  {shlex.join(words)}")
    return True


def check(data_set: DataSet, *, root: Path, console: Console) -> bool:
    """Verify the archives of a data set, read them, and print the table; arguments and result as of `prepare`.

    Raises:
        UserError: If the root is no folder, or an archive is broken.
    """
    return _report(data_set, _find_faults(data_set, root=root), root=root, console=console)


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
        table.add_row(archive.name, size, ("wrong" if size else "missing") if archive in faults else "right")
    console.print(folder)
    console.print(table)
    if not faults:
        counts = data_set.count_samples(root)
        console.print("samples: " + ", ".join(f"{count:,} {split}" for split, count in counts.items()))
        return True
    wrong = {archive.name: fault for archive, fault in faults.items() if (folder / archive.name).is_file()}
    for name, fault in wrong.items():
        console.print(f"{name}: {fault}")
    console.print("\nTo repair it:")
    console.print(f"  {_command(data_set, root=root, replace=bool(wrong))}")
    return False


def _find_configs(data_set: DataSet) -> list[Path]:
    """Return the configs below the current folder, as in a clone, of the data set's name or with a class of its module.

    Several data sets can share a data module.
    """
    paths = sorted(Path("configs").rglob("*.yaml"))
    return [
        path
        for path in paths
        if f"{path.parent.name}.{path.stem}" == data_set.name
        or f" tasks.{data_set.name}." in path.read_text(encoding="utf-8")
    ]


def _command(data_set: DataSet, *, root: Path, replace: bool) -> str:
    words = ["hyperseq", "data", "prepare", data_set.name, "--root", str(root)]
    return shlex.join(words + ["--replace"] * replace)


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
