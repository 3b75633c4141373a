"""Recordings that the tests make: tones and noise, written in the formats that users have."""

import io
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def tone(frequency: float, *, seconds: float = 0.25, rate: int = RATE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return a tone with a little noise, `(L, channels)`."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(size=(len(time), channels))
    return (0.5 * np.sin(2 * np.pi * frequency * time)[:, None] + 0.01 * noise).astype(np.float32)


def write(path: Path, samples: np.ndarray, *, rate: int = RATE, **options) -> Path:
    """Write samples `(L, channels)`, by default as WAV of 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def encode(samples: np.ndarray, container: str, subtype: str, *, rate: int = RATE) -> bytes:
    """Return the content of an audio file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def wav_bytes(samples: np.ndarray, *, rate: int = RATE) -> bytes:
    """Return the content of a WAV file of 16 bits."""
    return encode(samples, "WAV", "PCM_16", rate=rate)


def write_folder(folder: Path, *, classes=("high", "low"), each: int = 10, speakers: int = 5) -> None:
    """Write a folder for each class, with tones of unequal lengths."""
    for label, name in enumerate(classes):
        for number in range(each):
            seed = 100 * label + number
            samples = tone(1200 - 900 * label, seconds=0.1 + 0.01 * number, seed=seed)
            write(folder / name / f"speaker{number % speakers}-{number}.wav", samples)
