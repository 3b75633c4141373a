"""Decoded clips on disk: one flat memory map, written once for all that the decoding depends on."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from filelock import FileLock
from rich.progress import track
from torch import Tensor

from tasks.console import make_console
from tasks.data.ragged import RaggedSequences
from tasks.errors import UserError
from tasks.speech.audio_files import AudioError

Item = TypeVar("Item")

VERSION = 2
"""Raised when the same key would give other samples."""

_CHUNK = 256


class DecodedClips(NamedTuple):
    """The decoded clips of a data set, in the order of its items, without those that could not be decoded."""

    waveforms: RaggedSequences
    """One `(channels, L_i)` of `float32` a clip; views of the memory map."""
    kept: list[int]
    """The item that each clip comes from."""
    names: list[str]
    """The name of each clip."""
    digests: list[str]
    """A hash of the samples of each clip: clips of equal content have equal digests."""
    faults: dict[int, str]
    """Why an item could not be decoded, `<file>: <reason>`."""


def load_decoded_clips(
    folder: Path,
    *,
    key: Mapping[str, Any],
    items: Callable[[], Iterable[tuple[str, Item]]],
    decode: Callable[[str, Item], Tensor],
    num_items: int,
) -> DecodedClips:
    """Map the decoded clips of a data set into memory; decode them first if no earlier call has.

    A folder within `folder`, named after a hash of the key, holds them. It gets its name when it is whole, so an
    interrupted call leaves nothing behind that a later one would take. A folder that was damaged later is made anew. A
    second process waits for the first.

    Args:
        folder: Folder of all decoded data sets; it is made.
        key: All that the samples depend on, as plain values: the options of the decoding, the identity of the files.
        items: Yields name and source of each clip; called only if the clips have to be decoded.
        decode: Turns name and source into a waveform, `(channels, L)` of `float32`; called in several threads. An
            `AudioError` is kept as the fault of the item.
        num_items: Number of items, for the progress bar.

    Raises:
        UserError: If the folder cannot be written to, or waveforms differ in channels.
    """
    text = json.dumps({"version": VERSION, **key}, sort_keys=True)
    path = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{path.name}.lock"):
            if (clips := _map(path)) is None:
                shutil.rmtree(path, ignore_errors=True)
                _decode_all(path, items(), decode, num_items)
                clips = _map(path)
    except OSError as error:
        raise UserError(f"cache must be a folder that can be written to, got {folder}: {error.strerror}") from error
    assert clips is not None
    return clips


def identify(path: Path) -> list[Any]:
    """Describe a file by name, size and time of the last change, without reading it."""
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _decode_all(
    path: Path, items: Iterable[tuple[str, Item]], decode: Callable[[str, Item], Tensor], num_items: int
) -> None:
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    lengths: list[int] = []
    kept: list[int] = []
    names: list[str] = []
    digests: list[str] = []
    faults: dict[int, str] = {}
    channels = 1
    console = make_console()
    with (part / "samples.f32").open("wb") as file:
        decoded = track(
            _decode_in_threads(items, decode), "decoding", num_items, console=console, disable=not console.is_terminal
        )
        for index, (name, clip) in enumerate(decoded):
            if isinstance(clip, AudioError):
                faults[index] = str(clip)
                continue
            if kept and channels != len(clip):
                raise UserError(f"clips must have as many channels each, got {channels} and {len(clip)}")
            channels = len(clip)
            # Position after position, so that the whole file is one (total, channels) array.
            content = clip.mT.contiguous().numpy().astype("<f4", copy=False).tobytes()
            file.write(content)
            kept.append(index)
            names.append(name)
            lengths.append(clip.shape[1])
            digests.append(hashlib.blake2b(content, digest_size=16).hexdigest())
    table = {
        "channels": channels,
        "lengths": lengths,
        "kept": kept,
        "names": names,
        "digests": digests,
        "faults": faults,
    }
    (part / "clips.json").write_text(json.dumps(table), encoding="utf-8")
    os.replace(part, path)


def _decode_in_threads(
    items: Iterable[tuple[str, Item]], decode: Callable[[str, Item], Tensor]
) -> Iterator[tuple[str, Tensor | AudioError]]:
    """Decode in the order of the items; a chunk at a time, so that few undecoded ones lie in memory."""

    def decode_or_explain(item: tuple[str, Item]) -> tuple[str, Tensor | AudioError]:
        try:
            return item[0], decode(*item)
        except AudioError as error:
            return item[0], error

    remaining = iter(items)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while chunk := list(islice(remaining, _CHUNK)):
            yield from threads.map(decode_or_explain, chunk)


def _map(path: Path) -> DecodedClips | None:
    """Map what `_decode_all` wrote; `None` if it is missing or damaged."""
    try:
        table = json.loads((path / "clips.json").read_text(encoding="utf-8"))
        shape = sum(table["lengths"]), table["channels"]
        if (path / "samples.f32").stat().st_size != 4 * math.prod(shape):
            return None
    except (OSError, ValueError, KeyError):
        return None
    # Mode c: torch takes no read-only arrays, and changes must not reach the file. Nothing cannot be mapped.
    samples = np.memmap(path / "samples.f32", "<f4", "c", shape=shape) if shape[0] else np.empty(shape, np.float32)
    waveforms = RaggedSequences(torch.from_numpy(samples).mT, torch.tensor(table["lengths"], dtype=torch.int64))
    faults = {int(index): fault for index, fault in table["faults"].items()}
    return DecodedClips(waveforms, table["kept"], table["names"], table["digests"], faults)
