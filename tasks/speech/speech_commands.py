"""Speech Commands, version 0.02: a spoken word within a second, 16 kHz."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from tasks.data.data_module import SPLITS
from tasks.errors import UserError
from tasks.speech.audio_data_module import AudioDataModule, Recordings
from tasks.speech.audio_files import read_audio
from tasks.speech.decoded_clips import identify
from tasks.speech.published import speech_commands as published
from tasks.speech.published.speech_commands import SAMPLE_RATE, WORDS_10, Words

SILENCE, UNKNOWN = "_silence_", "_unknown_"
SHARE = 0.1
"""Of the 12-class form: clips of silence, and of unknown words, for each clip of the ten words."""
BACKGROUND_SHARES = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}
"""The stretch of each background recording that each split takes its silence from."""


class _Sample(NamedTuple):
    """A word, or the second of a background recording that begins at the sample `start`."""

    name: str
    label: str
    split: str
    start: int | None = None


class SpeechCommands(AudioDataModule):
    """Words within a second, shorter ones filled with zeros at the end, in one of three forms.

    35 words: the official lists, 84,843 / 9,981 / 11,005 clips, as in S4 and S5. 10 words: the 34,975 clips of exactly
    a second, split 70/15/15 by class with scikit-learn's seeds 0 and 1 and names sorted first; one speaker is heard in
    training and test, as in CKConv and S4. 12 classes: the ten words by the official lists, and for each ten clips of
    them a second of background noise and an unknown word, drawn by `split_seed`. Other options are those of
    `AudioDataModule`; its `normalization: legacy` is that of S4.

    Args:
        words: 35, 12 or 10.
    """

    def __init__(self, *, words: Literal[35, 12, 10] = 35, **options: Any) -> None:
        super().__init__(sample_rate=SAMPLE_RATE, seconds=1.0, fill=True, **options)
        if words not in (35, 12, 10):
            raise UserError(f"words must be 35, 12 or 10, got {words}")
        self.words = words

    def read_recordings(self) -> Recordings:
        """Read the archive."""
        (path,) = published.DATA_SET.find_archives(self.root)
        contents = published.read_contents(path)
        decoded = self.decode(
            lambda: published.read_recordings(path),
            lambda name, content: read_audio(content, name=name, allow_silence=True),
            num_items=len(contents.paths),
            identity={"archive": identify(path)},
        )
        if decoded.faults:
            raise UserError(f"{path} must hold recordings, got {next(iter(decoded.faults.values()))}")
        row_of = {name: row for row, name in enumerate(contents.paths)}
        lengths = {name: int(decoded.waveforms.lengths[row]) for name, row in row_of.items()}
        if self.words == 35:
            samples = [_Sample(name, _word(name), contents.choose_split(name)) for name in contents.words]
            self.class_names = tuple(sorted({sample.label for sample in samples}))
        elif self.words == 10:
            samples = list(_choose_ten([name for name in contents.words if lengths[name] == SAMPLE_RATE]))
            self.class_names = WORDS_10
        else:
            samples = list(_choose_twelve(contents, lengths, seed=self.split_seed))
            self.class_names = (*WORDS_10, SILENCE, UNKNOWN)
        clips = decoded.waveforms.select([row_of[sample.name] for sample in samples])
        clips.starts = clips.starts + torch.tensor([sample.start or 0 for sample in samples])
        cut = torch.tensor([sample.start is not None for sample in samples])
        clips.lengths = torch.where(cut, SAMPLE_RATE, clips.lengths)
        labels = torch.tensor([self.class_names.index(sample.label) for sample in samples])
        rows = {split: [row for row, sample in enumerate(samples) if sample.split == split] for split in SPLITS}
        names = [sample.name if sample.start is None else f"{sample.name}[{sample.start}]" for sample in samples]
        return Recordings(clips, labels, {split: torch.tensor(found) for split, found in rows.items()}, names)


def _word(name: str) -> str:
    return name.partition("/")[0]


def _choose_ten(names: Sequence[str]) -> Iterator[_Sample]:
    """Split the clips of the ten words as CKConv and S4 do, with sorted names in place of the order of a folder."""
    names = [name for word in WORDS_10 for name in sorted(names) if _word(name) == word]
    train, rest = train_test_split(names, train_size=0.7, random_state=0, stratify=list(map(_word, names)))
    val, test = train_test_split(rest, train_size=0.5, random_state=1, stratify=list(map(_word, rest)))
    for split, found in (("train", train), ("val", val), ("test", test)):
        yield from (_Sample(name, _word(name), split) for name in found)


def _choose_twelve(contents: Words, lengths: Mapping[str, int], *, seed: int) -> Iterator[_Sample]:
    """Choose the clips of the ten words, and for each ten of them a second of noise and an unknown word."""
    random = np.random.default_rng(seed)
    for split in SPLITS:
        names = [name for name in contents.words if contents.choose_split(name) == split]
        ten = [name for name in names if _word(name) in WORDS_10]
        others = [name for name in names if _word(name) not in WORDS_10]
        count = min(round(SHARE * len(ten)), len(others))
        yield from (_Sample(name, _word(name), split) for name in ten)
        chosen = sorted(random.choice(len(others), size=count, replace=False).tolist())
        yield from (_Sample(others[place], UNKNOWN, split) for place in chosen)
        first, last = BACKGROUND_SHARES[split]
        for place in random.integers(len(contents.backgrounds), size=count).tolist():
            name = contents.backgrounds[place]
            begin, end = int(first * lengths[name]), int(last * lengths[name]) - SAMPLE_RATE
            if end < begin:
                raise UserError(f"{name} must hold 10 seconds of noise, got {lengths[name] / SAMPLE_RATE:.1f}")
            yield _Sample(name, SILENCE, split, int(random.integers(begin, end + 1)))
