"""A published archive, and how its file is verified."""

import gzip
import hashlib
import zlib
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
        md5: Checksum of the file, or of its content.
        md5_of: `content` for a gzipped file: mirrors compress anew, so their files differ, but not the content.
    """

    name: str
    urls: tuple[str, ...]
    md5: str
    md5_of: Literal["file", "content"] = "file"


def find_fault(archive: Archive, path: Path) -> str | None:
    """Return in one line why the file at `path` is not the archive, judged by its checksum, or `None` if it is."""
    if not path.is_file():
        return "it is missing"
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with gzip.open(path) if archive.md5_of == "content" else path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        fault = f"it must be a whole gzip file: {error}"
    else:
        if digest.hexdigest() == archive.md5:
            return None
        subject = "the MD5 of its content" if archive.md5_of == "content" else "its MD5"
        fault = f"{subject} must be {archive.md5}, got {digest.hexdigest()}"
    return "it is an HTML page, not the archive" if _is_html(path) else fault


def _is_html(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))
