"""Files read straight out of a gzipped tar archive, or unpacked all at once."""

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tasks.data.archives import CHUNK_BYTES, is_html
from tasks.data.disk_space import check_space
from tasks.errors import UserError


def iterate_tar_members(path: Path, *, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    """Yield the name of each file, and the content of the wanted ones, in one pass to the end with gzip's checksum.

    Names come without a leading `./`. The files that Mac OS adds beside others, `._<name>`, are left out.

    Raises:
        UserError: If the archive is broken.
    """
    with _open_archive(path) as archive:
        for name, member in _iterate_files(archive):
            file = archive.extractfile(member) if wanted(name) else None
            yield name, file.read() if file else None


def read_tar_members(path: Path, names: Sequence[str]) -> list[bytes]:
    """Return the contents of the files `names` in order.

    Raises:
        UserError: If the archive is broken, or lacks a file.
    """
    members = iterate_tar_members(path, wanted=names.__contains__)
    found = {name: content for name, content in members if content is not None}
    if missing := [name for name in names if name not in found]:
        raise UserError(f"{path} must hold {missing[0]}, got an archive without it")
    return [found[name] for name in names]


def unpack_folder(path: Path, folder: str, *, root: Path) -> Path:
    """Unpack one folder of an archive to the same place below `root`, whole or not at all, and return its path.

    An earlier folder of this name is replaced. The archive is read twice: for the room that the files take, and for the
    files.

    Raises:
        UserError: If the archive is broken or lacks the folder, a name leaves the folder, or the disk is too small.
    """
    target = root / folder
    with _open_archive(path) as archive:
        sizes = [member.size for name, member in _iterate_files(archive) if name.startswith(f"{folder}/")]
    if not sizes:
        raise UserError(f"{path} must hold the folder {folder}, got an archive without it")
    target.parent.mkdir(parents=True, exist_ok=True)
    check_space(target.parent, sum(sizes), purpose=f"{folder} of {path.name}")
    part, earlier = (target.with_name(f"{target.name}.{suffix}") for suffix in ("part", "earlier"))
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _open_archive(path) as archive:
            for name, member in _iterate_files(archive):
                if name.startswith(f"{folder}/") and (file := archive.extractfile(member)):
                    if ".." in PurePosixPath(name).parts:
                        raise UserError(f"{path} must hold names below {folder}, got {name}")
                    to = part / name.removeprefix(f"{folder}/")
                    to.parent.mkdir(parents=True, exist_ok=True)
                    with to.open("wb") as written:
                        shutil.copyfileobj(file, written, CHUNK_BYTES)
        if target.exists():
            shutil.rmtree(earlier, ignore_errors=True)
            os.replace(target, earlier)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(earlier, ignore_errors=True)
    return target


@contextmanager
def _open_archive(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive for one pass; the pass goes to the end of the file, where gzip's checksum is."""
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            yield archive
            while unpacked.read(CHUNK_BYTES):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        found = "an HTML page" if is_html(path) else str(error)
        remedy = "hyperseq data prepare with --replace fetches it again"
        raise UserError(f"{path} must be a whole tar.gz archive, got: {found}; {remedy}") from error


def _iterate_files(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for member in archive:
        name = member.name.removeprefix("./")
        if member.isfile() and not name.rpartition("/")[2].startswith("._"):
            yield name, member
