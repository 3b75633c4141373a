"""Fetch a published archive: resumed where it broke off, and under its own name only once its checksum is right."""

import os
import time
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.progress import Progress, TaskID

from tasks.data.archives import CHUNK_BYTES, Archive, find_fault
from tasks.data.disk_space import check_space

TRIES_PER_MIRROR = 5
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416


class BrokenConnectionError(Exception):
    """The answer ended too early; asking the same mirror again may help."""


class RefusedError(Exception):
    """The mirror does not have the archive; asking it again would not help."""


def fetch_archive(archive: Archive, *, path: Path, progress: Progress) -> None:
    """Fetch an archive from the first mirror that has it; a file at `path` is replaced once the new one is whole.

    What has arrived lies in `<path>.part`. It stays there when the connection breaks or the user interrupts, and the
    next call asks for the rest only. `progress` shows how much has arrived, and one line for every fault.

    Raises:
        OSError: If no mirror has it, or if it cannot be written.
        UserError: If the disk has no room for what has not arrived.
    """
    partial = path.with_name(path.name + ".part")
    task = progress.add_task(archive.name, total=None)
    failures = []
    for url in archive.urls:
        fault = _fetch_from(url, archive, partial=partial, progress=progress, task=task)
        if fault is None:
            os.replace(partial, path)
            progress.console.print(f"{archive.name}: fetched from {url}")
            return
        failures.append(f"{url}: {fault}")
        progress.console.print(failures[-1])
    raise OSError(
        "\n  ".join([f"{archive.name} could not be fetched:", *failures])
        + f"\nTry again later, or put the file into {path.parent} yourself."
    )


def _fetch_from(url: str, archive: Archive, *, partial: Path, progress: Progress, task: TaskID) -> str | None:
    """Make the partial file whole, or return why this mirror could not."""
    fault = None
    for number in range(1, TRIES_PER_MIRROR + 1):
        try:
            resumed = _receive(url, partial=partial, progress=progress, task=task)
        except RefusedError as refusal:
            return str(refusal)
        except BrokenConnectionError as error:
            fault = f"the connection broke: {error}"
        else:
            fault = find_fault(archive, partial)
            if fault is None:
                return None
            partial.unlink()
            # Mirrors compress anew, so pieces from two of them need not fit; a file in one piece is the mirror's own.
            if not resumed:
                return fault
        if number < TRIES_PER_MIRROR:
            progress.console.print(f"{url}: {fault}; trying again")
            time.sleep(PAUSE_SECONDS)
    return fault


def _receive(url: str, *, partial: Path, progress: Progress, task: TaskID) -> bool:
    """Complete the partial file, or begin it anew; return whether it holds bytes of an earlier answer."""
    start = partial.stat().st_size if partial.exists() else 0
    # Some servers turn away what calls itself Python.
    headers = {"User-Agent": "hyperseq"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        answer: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and start:
            return True
        raise RefusedError(f"HTTP {error.code} {error.reason}") from error
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise BrokenConnectionError(_words(error)) from error
    except OSError as error:
        raise RefusedError(_words(getattr(error, "reason", error))) from error
    with answer:
        if answer.headers.get_content_type() == "text/html":
            raise RefusedError("it answered with an HTML page, not with the archive")
        resumed = answer.status == PARTIAL_CONTENT
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            partial.unlink()
            raise BrokenConnectionError(f"asked for the bytes from {start}, got others")
        arrived = start if resumed else 0
        total = None if answer.length is None else arrived + answer.length
        check_space(partial.parent, (total or 0) - arrived, purpose=f"the rest of {partial.stem}")
        try:
            with partial.open("ab" if resumed else "wb") as file:
                # Asked for nothing beyond the end: some servers keep the connection open there, and reading would wait.
                while arrived != total and (chunk := _read(answer)):
                    file.write(chunk)
                    arrived += len(chunk)
                    progress.update(task, completed=arrived, total=total)
        except OSError as error:
            raise OSError(
                f"{partial} could not be written: {error.strerror}; what has arrived is kept there"
            ) from error
    if total is not None and arrived < total:
        raise BrokenConnectionError(f"{arrived:,} of {total:,} bytes arrived")
    return resumed


def _read(answer: HTTPResponse) -> bytes:
    try:
        # `read` would lose what arrived last when the connection breaks.
        return answer.read1(CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise BrokenConnectionError(_words(error)) from error


def _words(error: BaseException | str) -> str:
    """Return the message of an error, or its name if it has none."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
