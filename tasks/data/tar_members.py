"""Files read straight out of a gzipped tar archive; nothing is unpacked to disk."""

import gzip
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tasks.data.archives import CHUNK_BYTES


def read_tar_members(path: Path, names: Sequence[str]) -> list[bytes]:
    """Read files of an archive in one pass, to its end: the checksum stands there.

    Args:
        path: The archive.
        names: Names of the files in it.

    Returns:
        Their contents, in the order of the names.

    Raises:
        ValueError: If it is no whole archive, or a file is not in it.
    """
    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                if member.name in names and (file := archive.extractfile(member)):
                    found[member.name] = file.read()
            while unpacked.read(CHUNK_BYTES):
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} must be a whole tar.gz archive, got: {error}") from error
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{path} must hold {missing[0]}, got an archive without it")
    return [found[name] for name in names]
