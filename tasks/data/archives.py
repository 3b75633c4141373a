"""The public archives that data sets are published in, and where they lie."""

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
        urls: Where it can be fetched, the first choice first.
        md5: Checksum of the file, or of its content.
        md5_of: `content` for a gzipped file, which differs from mirror to mirror in its header alone.
    """

    name: str
    urls: tuple[str, ...]
    md5: str
    md5_of: Literal["file", "content"] = "file"


def find_archive(archive: Archive, *, root: Path, folder: str, dataset: str) -> Path:
    """Find an archive that was prepared.

    Args:
        archive: The archive.
        root: Folder of all data sets.
        folder: Folder of this data set within it.
        dataset: Name of the data set, such as `images.mnist`, for the command in the message.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: If it is not there.
    """
    path = root / folder / archive.name
    if not path.is_file():
        raise FileNotFoundError(
            f"{archive.name} is not in {path.parent}; prepare it with: hyperseq data prepare {dataset} --root {root}"
        )
    return path


def find_fault(archive: Archive, path: Path) -> str | None:
    """Compare a file with the checksum of an archive.

    Args:
        archive: The archive.
        path: The file that should be it.

    Returns:
        What is wrong with the file, in one line, or `None` if it is the archive.
    """
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
