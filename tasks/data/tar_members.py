"""Files read straight out of a gzipped tar archive; nothing is unpacked to disk."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.data.archives import CHUNK_BYTES
from tasks.errors import UserError


def read_matching_members(path: Path, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the contents of the wanted files by name, read in one pass to the end, where gzip's checksum stands.

    Raises:
        UserError: If the archive is broken.
    """
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                if is_wanted(member.name) and (file := archive.extractfile(member)):
                    found[member.name] = file.read()
            while unpacked.read(CHUNK_BYTES):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} must be a whole tar.gz archive, got: {error}") from error
    return found


def read_tar_members(path: Path, names: Sequence[str]) -> list[bytes]:
    """Return the contents of the files `names` in order.

    Raises:
        UserError: If the archive is broken, or lacks a file.
    """
    found = read_matching_members(path, set(names).__contains__)
    if missing := [name for name in names if name not in found]:
        raise UserError(f"{path} must hold {missing[0]}, got an archive without it")
    return [found[name] for name in names]
