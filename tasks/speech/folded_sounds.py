"""Data sets of sounds that are scored by published folds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tasks.data.data_module import SPLITS
from tasks.data.data_set import DataSet
from tasks.errors import UserError
from tasks.speech.audio_data_module import AudioDataModule, Recordings
from tasks.speech.audio_files import read_audio
from tasks.speech.decoded_clips import identify
from tasks.speech.folds import choose_splits_by_fold
from tasks.speech.published import esc50, urbansound8k
from tasks.speech.published.sound_archives import Sound, iterate_members


class FoldedSounds(AudioDataModule):
    """Sounds in published folds: one fold tests, the next one validates, the others train.

    Published numbers are means over all folds: train once for each `test_fold`. Folds keep the sources apart; a split
    of your own over all clips would not, and would score too high.

    Args:
        data_set: The archive.
        list_sounds: Lists the sounds of the archive.
        test_fold: The fold that tests, from 1.
    """

    def __init__(
        self, *, data_set: DataSet, list_sounds: Callable[[Path], list[Sound]], test_fold: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self.data_set, self.list_sounds, self.test_fold = data_set, list_sounds, test_fold

    def read_recordings(self) -> Recordings:
        """Read the archive."""
        (path,) = self.data_set.find_archives(self.root)
        sounds = {sound.member: sound for sound in self.list_sounds(path)}
        decoded = self.decode(
            lambda: ((name, content) for name, content in iterate_members(path) if name in sounds),
            lambda name, content: read_audio(content, name=name, allow_silence=True),
            num_items=len(sounds),
            identity={"archive": identify(path)},
        )
        if decoded.faults:
            raise UserError(f"{path} must hold recordings, got {next(iter(decoded.faults.values()))}")
        if missing := sorted(sounds.keys() - set(decoded.names)):
            raise UserError(f"{path} must hold {missing[0]}, got an archive without it")
        found = [sounds[name] for name in decoded.names]
        self.class_names = tuple(sorted({sound.label for sound in found}))
        labels = torch.tensor([self.class_names.index(sound.label) for sound in found])
        splits = choose_splits_by_fold([sound.fold for sound in found], test_fold=str(self.test_fold))
        rows = {split: torch.tensor([row for row, each in enumerate(splits) if each == split]) for split in SPLITS}
        return Recordings(decoded.waveforms, labels, rows, [sound.member for sound in found])


class ESC50(FoldedSounds):
    """ESC-50: 2,000 environmental sounds of 5 seconds, 50 classes, 5 folds, 44.1 kHz; options of `FoldedSounds`.

    Args:
        test_fold: The fold that tests, 1 to 5.
        sample_rate: Samples a second; the sounds are resampled to it.
        seconds: Length of the window.
    """

    def __init__(self, *, test_fold: int = 1, sample_rate: int = 16000, seconds: float = 5.0, **options: Any) -> None:
        super().__init__(
            data_set=esc50.DATA_SET, list_sounds=esc50.list_sounds, test_fold=test_fold, sample_rate=sample_rate,
            seconds=seconds, **options,
        )  # fmt: skip


class UrbanSound8K(FoldedSounds):
    """UrbanSound8K: 8,732 sounds of up to 4 seconds, 10 classes, 10 folds, of many rates; options of `FoldedSounds`.

    Args:
        test_fold: The fold that tests, 1 to 10.
        sample_rate: Samples a second; the sounds are resampled to it.
        seconds: Length of the window.
    """

    def __init__(self, *, test_fold: int = 1, sample_rate: int = 16000, seconds: float = 4.0, **options: Any) -> None:
        super().__init__(
            data_set=urbansound8k.DATA_SET, list_sounds=urbansound8k.list_sounds, test_fold=test_fold,
            sample_rate=sample_rate, seconds=seconds, **options,
        )  # fmt: skip
