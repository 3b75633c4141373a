"""FSDD: digits spoken by six people, 8 kHz."""

from pathlib import Path
from typing import Any, Literal

import torch

from tasks.data.data_module import SPLITS
from tasks.errors import UserError
from tasks.speech.audio_data_module import AudioDataModule, Recordings
from tasks.speech.audio_files import read_audio
from tasks.speech.decoded_clips import identify
from tasks.speech.published import fsdd

SpeakerName = Literal["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]


class FSDD(AudioDataModule):
    """The 3,000 recordings of the Free Spoken Digit Dataset, version 1.0.10: 2,400 train, 300 validate, 300 test.

    The official test holds the numbers 0 to 4 of each digit and speaker. All speakers are heard in the training, so the
    test tells nothing about other voices; `test_speaker` does. Other options are those of `AudioDataModule`.

    Args:
        sample_rate: Samples a second; the recordings have 8,000.
        seconds: Length of the window; 20 of the recordings are longer than 1 second.
        test_speaker: Leave one speaker out: all of the 500 recordings test, and the others train and validate.
    """

    class_names = fsdd.CLASS_NAMES

    def __init__(
        self,
        *,
        sample_rate: int = fsdd.SAMPLE_RATE,
        seconds: float = 1.0,
        test_speaker: SpeakerName | None = None,
        **options: Any,
    ) -> None:
        super().__init__(sample_rate=sample_rate, seconds=seconds, **options)
        if test_speaker is not None and test_speaker not in fsdd.SPEAKERS:
            raise UserError(f"test_speaker must be one of {', '.join(fsdd.SPEAKERS)}, got {test_speaker!r}")
        self.test_speaker = test_speaker

    def read_recordings(self) -> Recordings:
        """Read the archive."""
        (path,) = fsdd.DATA_SET.find_archives(self.root)
        recordings = fsdd.list_recordings(path)
        names, members = [each.name for each in recordings], [each.member for each in recordings]
        clips = self.decode(
            lambda: zip(names, fsdd.read_members(path, members), strict=True),
            lambda name, content: read_audio(content, name=name),
            num_items=len(recordings),
            identity={"archive": identify(Path(path))},
        )
        splits = [fsdd.choose_split(each, test_speaker=self.test_speaker) for each in recordings]
        rows = {split: torch.tensor([row for row, each in enumerate(splits) if each == split]) for split in SPLITS}
        labels = torch.tensor([each.digit for each in recordings])
        return Recordings(clips.waveforms, labels, rows, names)
