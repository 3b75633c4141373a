"""Files read straight out of a gzipped tar archive; nothing is unpacked to disk."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tasks.data.archives import CHUNK_BYTES
from tasks.errors import UserError


def iterate_tar_members(path: Path, *, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    """Yield the name of each file, and the content of the wanted ones, in one pass to the end with gzip's checksum.

    Names come without a leading `./`. The files that Mac OS adds beside others, `._<name>`, are left out.

    Raises:
        UserError: If the archive is broken.
    """
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isfile() and not name.rpartition("/")[2].startswith("._"):
                    file = archive.extractfile(member) if wanted(name) else None
                    yield name, file.read() if file else None
            while unpacked.read(CHUNK_BYTES):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} must be a whole tar.gz archive, got: {error}") from error


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
