"""Audio files as waveforms: decoded by soundfile, resampled by torchaudio, each fault told with file and reason."""

import io
import struct
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from tasks.errors import UserError
from tasks.extras import install_command
from tasks.speech._torchaudio import import_torchaudio

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64")
"""Names of audio files that end so are decoded."""

UNDECODED_SUFFIXES = (".m4a", ".aac", ".wma", ".mp4", ".webm", ".amr", ".3gp")
"""Names of audio files that end so are known, but not decoded."""

_STREAMED_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""Sizes in the header of a WAV file that was written to a pipe: the writer could not go back to fill them in."""


class AudioError(UserError):
    """An audio file that cannot be used: the message is `<file>: <reason>`."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class Audio(NamedTuple):
    """A decoded audio file."""

    waveform: Tensor
    """Samples in [-1, 1], `(channels, L)` of `float32`."""
    rate: int
    """Samples a second, in Hz."""


def read_audio(
    source: Path | bytes,
    *,
    name: str | None = None,
    start: float = 0.0,
    end: float | None = None,
    allow_silence: bool = False,
) -> Audio:
    """Decode an audio file, or a part of it.

    WAV of 8, 16, 24 or 32 bits and of floating point, FLAC, OGG and MP3, of any rate and number of channels.

    Args:
        source: Path of the file, or its content.
        name: Name of the file in messages; by default the path.
        start: Beginning of the part, in seconds.
        end: End of the part, in seconds; `None` for the end of the file.
        allow_silence: Take a file whose samples are all 0, as published data sets hold some.

    Returns:
        The waveform and its rate.

    Raises:
        AudioError: If the file is missing, empty, truncated, silent or no audio, if a sample is NaN or infinite, or if
            the part lies outside the file.
        UserError: If soundfile is not installed.

    Example:
        >>> read_audio(Path("absent.wav"))
        Traceback (most recent call last):
        tasks.speech.audio_files.AudioError: absent.wav: there is no such file
    """
    name = name or (str(source) if isinstance(source, Path) else "standard input")
    waveform, rate = _decode(_read_bytes(source, name), name)
    first, last = round(start * rate), waveform.shape[1] if end is None else round(end * rate)
    if not 0 <= first < last <= waveform.shape[1]:
        seconds = waveform.shape[1] / rate
        raise AudioError(
            name, f"start and end must lie in this order in its {seconds:.3f} seconds, got {start} and {end}"
        )
    waveform = waveform[:, first:last]
    if not waveform.isfinite().all():
        raise AudioError(name, "it holds NaN or infinity")
    if not allow_silence and not waveform.any():
        raise AudioError(name, "it is silent, every sample is 0")
    return Audio(waveform, rate)


def resample(waveform: Tensor, *, rate: int, to: int) -> Tensor:
    """Resample a waveform by band-limited interpolation.

    Args:
        waveform: `(..., L)`.
        rate: Its samples a second, in Hz.
        to: Samples a second of the result, in Hz.

    Returns:
        `(..., ceil(L * to / rate))`.
    """
    if rate == to:
        return waveform
    return import_torchaudio().functional.resample(waveform, rate, to)


def find_audio_files(folder: Path) -> list[Path]:
    """Return the audio files below a folder, sorted; hidden ones and files of other kinds are left out."""
    known = SUFFIXES + UNDECODED_SUFFIXES
    found = (path for path in folder.rglob("*") if path.suffix.lower() in known and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _read_bytes(source: Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        content = source
    else:
        try:
            content = source.read_bytes()
        except FileNotFoundError:
            raise AudioError(name, "there is no such file") from None
        except OSError as error:
            raise AudioError(name, f"it cannot be read: {error.strerror}") from error
    if not content:
        raise AudioError(name, "it is empty, 0 bytes")
    return content


def _decode(content: bytes, name: str) -> Audio:
    try:
        import soundfile
    except ModuleNotFoundError as error:
        if error.name != "soundfile":
            raise
        raise UserError(f"soundfile is not installed: {install_command('audio')}") from error
    if fault := _find_truncation(content):
        raise AudioError(name, f"it is truncated: {fault}")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate, announced = file.samplerate, file.frames
            samples = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(name, _explain(content, name, error.error_string)) from error
    if not len(samples):
        raise AudioError(name, f"it holds no sample, in {len(content)} bytes")
    if content[:4] == b"fLaC" and len(samples) < announced:
        raise AudioError(name, f"it is truncated: its header announces {announced} samples, got {len(samples)}")
    return Audio(torch.from_numpy(samples).mT.contiguous(), rate)


def _find_truncation(content: bytes) -> str | None:
    """Return what says that the end of a file is missing, or `None`; libsndfile reads on in silence."""
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return _find_truncated_wav(content)
    if content[:4] == b"OggS":
        return _find_truncated_ogg(content)
    announced = _read_announced_size(content)
    if announced is not None and announced > len(content):
        return f"its header announces {announced} bytes, got {len(content)}"
    return None


def _find_truncated_wav(content: bytes) -> str | None:
    position = 12
    while position + 8 <= len(content):
        kind, size = content[position : position + 4], struct.unpack_from("<I", content, position + 4)[0]
        position += 8
        if kind == b"data":
            rest = len(content) - position
            if size not in _STREAMED_SIZES and size > rest:
                return f"its header announces {size} bytes of samples, got {rest}"
            return None
        position += size + size % 2
    return "it ends before its samples begin"


def _find_truncated_ogg(content: bytes) -> str | None:
    """Go from page to page: 27 bytes, of which the last counts the sizes that follow, and what has these sizes."""
    position, is_last = 0, False
    while content[position : position + 4] == b"OggS":
        header = content[position : position + 27]
        sizes = content[position + 27 : position + 27 + header[-1]] if len(header) == 27 else b""
        is_last = len(header) == 27 and bool(header[5] & 4)
        position += 27 + header[-1] + sum(sizes)
    if position > len(content):
        return f"its last page ends at byte {position}, got {len(content)}"
    return None if is_last else "its last page is not marked as the end of the stream"


def _read_announced_size(content: bytes) -> int | None:
    """Return the bytes that a file of another format should have by its own header; `None` if it does not tell."""
    kind = content[:4]
    if len(content) < 28:
        return None
    if kind == b"FORM":  # AIFF
        return 8 + struct.unpack_from(">I", content, 4)[0]
    if kind == b".snd":  # AU
        offset, size = struct.unpack_from(">II", content, 4)
        return None if size == 0xFFFFFFFF else offset + size
    if kind == b"riff":  # W64
        return struct.unpack_from("<Q", content, 16)[0]
    if kind == b"RF64":
        return 8 + struct.unpack_from("<Q", content, 20)[0]
    return _read_announced_mp3_size(content)


def _read_announced_mp3_size(content: bytes) -> int | None:
    """Read the size from the frame that encoders of MP3 put before the first sound, as Xing and LAME define it."""
    start = 0
    if content[:3] == b"ID3":
        # Seven bits of each byte count.
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
    first = content[start : start + 64]
    place = max(first.find(b"Xing"), first.find(b"Info"))
    if first[:1] != b"\xff" or place < 0 or len(first) < place + 16:
        return None
    (flags,) = struct.unpack_from(">I", first, place + 4)
    # Bit 1: the number of frames is there; bit 2: the number of bytes.
    return start + struct.unpack_from(">I", first, place + 8 + 4 * (flags & 1))[0] if flags & 2 else None


def _explain(content: bytes, name: str, message: str) -> str:
    """Say why libsndfile could not decode a file, and what to do about it."""
    if Path(name).suffix.lower() in UNDECODED_SUFFIXES or content[4:8] == b"ftyp":
        return 'this format is not decoded; convert it first, for example: ffmpeg -i "FILE" "FILE.wav"'
    if "not recognised" in message or "unknown" in message.lower():
        return f"it is no audio file: it begins with {content[:16]!r}"
    return f"it cannot be decoded: {message.rstrip('.')}"
