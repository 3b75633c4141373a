"""A published archive, and how its file is verified."""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Archive:
    """One published file.

    Attributes:
        name: Its public name.
        urls: Its addresses, the first choice first.
        md5: Checksum of the file, or of what `md5_of` says; `None` if none is published.
        md5_of: `content` for a gzipped file: mirrors compress anew, so their files differ, but not the content.
            `recordings` for a zip archive that is packed anew on request: base name and content of each WAV file, in
            the order of the base names.
    """

    name: str
    urls: tuple[str, ...]
    md5: str | None
    md5_of: Literal["file", "content", "recordings"] = "file"


def find_fault(archive: Archive, path: Path) -> str | None:
    """Return in one line why the file at `path` is not the archive, or `None` if it is.

    It is judged by its checksum. Where none is published, a gzipped file must be whole, and no file be an HTML page.
    """
    if not path.is_file():
        return "it is missing"
    if not path.stat().st_size:
        return "it is empty, 0 bytes"
    digest = hashlib.md5(usedforsecurity=False)
    try:
        for chunk in _read_chunks(archive, path):
            digest.update(chunk)
    except zipfile.BadZipFile as error:
        fault = f"it must be a whole zip file: {error}"
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        fault = f"it must be a whole gzip file: {error}"
    else:
        if digest.hexdigest() == archive.md5 or (archive.md5 is None and not is_html(path)):
            return None
        subject = "its MD5" if archive.md5_of == "file" else f"the MD5 of its {archive.md5_of}"
        fault = f"{subject} must be {archive.md5}, got {digest.hexdigest()}"
    return "it is an HTML page, not the archive" if is_html(path) else fault


def _read_chunks(archive: Archive, path: Path) -> Iterator[bytes]:
    """Yield the bytes that the checksum of an archive is taken of."""
    if archive.md5_of == "recordings":
        with zipfile.ZipFile(path) as zipped:
            members = (name for name in zipped.namelist() if name.endswith(".wav"))
            for base_name, name in sorted((name.rpartition("/")[2], name) for name in members):
                yield base_name.encode()
                yield zipped.read(name)
        return
    with gzip.open(path) if archive.md5_of == "content" else path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def is_html(path: Path) -> bool:
    """Return whether a file is a web page, as servers send in place of an archive."""
    with path.open("rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))
