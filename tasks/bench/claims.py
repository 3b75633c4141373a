"""Claims on work in a shared folder: numbered files, the newest of which counts, kept alive by a heartbeat.

Locks of the operating system, such as those of `filelock`, hold on one machine alone: many network file systems ignore
them. Two properties are enough here, and network file systems have both. A file is created by one process only
(`O_EXCL`), and the server stamps the times of files with its own clock.
"""

import json
import os
import platform
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT = 15.0
"""Seconds between two heartbeats."""

STALE = 300.0
"""Seconds without a heartbeat after which a claim is free; a network file system may show times a minute late."""


class Claim:
    """A claim that this process or one of its children holds; no claim is ever removed, so none is ever held twice."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def take(cls, folder: Path, *, stale: float = STALE) -> "Claim | None":
        """Claim what a folder stands for; return `None` while another process holds it.

        Args:
            folder: Where the claims lie; made if it is missing.
            stale: Seconds without a heartbeat after which a claim is free.

        Example:
            >>> from tempfile import mkdtemp
            >>> folder = Path(mkdtemp())
            >>> claim = Claim.take(folder)
            >>> Claim.take(folder) is None
            True
        """
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
        newest = max(numbers, default=0)
        if newest and is_held(folder / str(newest), stale=stale):
            return None
        path = folder / str(newest + 1)
        try:
            # Of two processes that found the newest claim free, one creates the next number.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return None
        claim = cls(path)
        claim.sign()
        return claim

    def sign(self) -> None:
        """Name this process as the holder."""
        self.path.write_text(json.dumps({"where": _where(), "pid": os.getpid()}), encoding="utf-8")

    def release(self) -> None:
        """Leave the work to others."""
        self.path.write_text(json.dumps({"released": True}), encoding="utf-8")

    def is_lost(self) -> bool:
        """Return whether another process took the claim over, because this one was silent for too long."""
        return self.path.with_name(str(int(self.path.name) + 1)).exists()

    @contextmanager
    def beating(self, *, every: float = BEAT, lost: Callable[[], None] = lambda: os._exit(1)) -> Iterator[None]:
        """Show signs of life while the block runs.

        Args:
            every: Seconds between two heartbeats.
            lost: Called when the claim was taken over. By default the process ends at once: whoever took the claim
                writes the same files.
        """
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(every):
                if self.is_lost():
                    lost()
                    return
                # The file server may be away for a moment; the next heartbeat comes.
                with suppress(OSError):
                    os.utime(self.path)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def is_held(path: Path, *, stale: float = STALE) -> bool:
    """Return whether a claim is neither released, nor silent, nor held by a process of this machine that ended."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        holder = {}  # between its creation and its first line
    if holder.get("released") or (holder.get("where") == _where() and not _is_alive(holder["pid"])):
        return False
    # Both times are stamped by the clock of the file system, whatever the clocks of the machines show.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="now-") as now:
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime < stale


def _where() -> str:
    # Process numbers mean something within one machine, and on Linux within one namespace of it.
    with suppress(OSError):
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    return platform.node()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A process that ended stays listed until its parent asks; in a container often nobody does.
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    return True
