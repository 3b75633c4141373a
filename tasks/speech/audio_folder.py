"""Any folder of recordings: a folder for each class, or a table of files."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tasks.console import make_console
from tasks.data.data_module import SPLITS
from tasks.data.splits import grouped_split, stratified_split
from tasks.errors import UserError
from tasks.speech.audio_data_module import AudioDataModule, Recordings
from tasks.speech.audio_files import read_audio
from tasks.speech.clip_lists import Clip, list_class_folders, read_clip_table
from tasks.speech.decoded_clips import identify
from tasks.speech.folds import choose_splits_by_fold

FRACTIONS = (0.7, 0.1, 0.2)


class AudioFolder(AudioDataModule):
    """Recordings of your own, in a folder for each class or listed in a table; WAV, FLAC, OGG and MP3 of any rate.

    Without splits or folds of their own, 70% train, 10% validate and 20% test, every class alike. Clips of one group,
    such as a speaker, and clips of equal content come into one split. Other options are those of `AudioDataModule`.

    Args:
        root: The folder.
        table: CSV file with the columns `path` (within `root`) and `label`, and any of `split`, `group`, `fold`,
            `start` and `end` (seconds); `None` for a folder for each class.
        group_by: Regular expression that finds the group in a path within a class folder, such as `^([a-z]+)_`.
        test_fold: The fold that tests, where the table has folds; the next one validates, the others train.
        sample_rate: Samples a second; all files are resampled to it.
        seconds: Length of the window.
        on_bad_file: `error`, or `skip` files that cannot be decoded; they are listed.

    Raises:
        UserError: If the folder or the table break a rule, a file is bad, or the same content lies in two splits.
    """

    def __init__(
        self,
        *,
        root: Path,
        table: Path | None = None,
        group_by: str | None = None,
        test_fold: str | int | None = None,
        sample_rate: int = 16000,
        seconds: float = 1.0,
        on_bad_file: Literal["error", "skip"] = "error",
        **options: Any,
    ) -> None:
        super().__init__(root=root, sample_rate=sample_rate, seconds=seconds, **options)
        if table is not None and group_by is not None:
            raise UserError(f"group_by must be left out with a table, which has a column group, got {group_by!r}")
        self.table, self.group_by, self.on_bad_file = table, group_by, on_bad_file
        self.test_fold = None if test_fold is None else str(test_fold)

    def read_recordings(self) -> Recordings:
        """List, decode and split the clips."""
        clips = self._list()
        self.class_names = tuple(sorted({clip.label for clip in clips}))
        if len(self.class_names) < 2:
            raise UserError(f"root must hold at least 2 classes, got {len(self.class_names)} in {self.root}")
        decoded = self.decode(
            lambda: ((clip.name, clip) for clip in clips),
            lambda _, clip: read_audio(clip.path, start=clip.start, end=clip.end),
            num_items=len(clips),
            identity={"clips": [[clip.start, clip.end, *_identify(clip.path)] for clip in clips]},
        )
        self._tell(list(decoded.faults.values()), len(clips))
        kept = [clips[index] for index in decoded.kept]
        labels = torch.tensor([self.class_names.index(clip.label) for clip in kept], dtype=torch.int64)
        rows = self._split(kept, labels, decoded.digests)
        _check_splits(kept, rows, decoded.digests, self.class_names)
        return Recordings(decoded.waveforms, labels, rows, decoded.names)

    def _list(self) -> list[Clip]:
        if self.table is None:
            return list_class_folders(self.root, group_by=self.group_by)
        return read_clip_table(Path(self.table), root=self.root)

    def _tell(self, faults: list[str], num_clips: int) -> None:
        """Raise the faults as one error, or print them if bad files are skipped."""
        if not faults:
            return
        count = f"{len(faults)} of {num_clips} files"
        if self.on_bad_file == "error":
            place = f"root, {self.root}," if self.table is None else f"table, whose paths are relative to {self.root},"
            rule = f"{place} must hold files that can be decoded"
            told = "\n  ".join(["(on_bad_file: skip leaves them out):", *faults])
            raise UserError(f"{rule}, got {count} that cannot {told}")
        console = make_console()
        console.print(f"{count} cannot be decoded and are left out:")
        for fault in faults:
            console.print(f"  {fault}")

    def _split(self, clips: list[Clip], labels: Tensor, digests: list[str]) -> dict[str, Tensor]:
        splits: list[str | None] = [clip.split for clip in clips]
        if self.test_fold is not None:
            splits = choose_splits_by_fold([clip.fold for clip in clips], test_fold=self.test_fold)
        if None not in splits:
            return {split: torch.tensor([row for row, each in enumerate(splits) if each == split]) for split in SPLITS}
        if None not in [clip.fold for clip in clips]:
            raise UserError(f"test_fold must be one of {', '.join(sorted({str(clip.fold) for clip in clips}))} for a "
                            "table with folds and no splits, got null")  # fmt: skip
        groups = [clip.group for clip in clips]
        # Parts of one file are of one recording.
        of_file = [digest if clip.is_whole else str(clip.path) for clip, digest in zip(clips, digests, strict=True)]
        keys, what = (of_file, "files") if None in groups else (groups, "groups")
        if len(set(keys)) < len(SPLITS):
            raise UserError(f"{what} must be at least one for each of {', '.join(SPLITS)}, got {len(set(keys))}")
        if len(set(keys)) == len(keys):
            parts = stratified_split(labels, fractions=FRACTIONS, seed=self.split_seed)
        else:
            parts = grouped_split(labels, keys, fractions=FRACTIONS, seed=self.split_seed)
        return dict(zip(SPLITS, parts, strict=True))


def _check_splits(clips: list[Clip], rows: dict[str, Tensor], digests: list[str], class_names: tuple[str, ...]) -> None:
    """Refuse equal content with two labels, empty splits, classes without training, and what lies in two splits."""
    labels: dict[str, Clip] = {}
    for clip, digest in zip(clips, digests, strict=True):
        if (other := labels.setdefault(digest, clip)).label != clip.label:
            raise UserError(
                f"content must have one label, got {other.label} and {clip.label} for {other.name} and {clip.name}"
            )
    for split in SPLITS:
        if not len(rows[split]):
            raise UserError(f"split must name clips for {split}, got none")
    trained = {clips[row].label for row in rows["train"].tolist()}
    if untrained := [name for name in class_names if name not in trained]:
        raise UserError(f"train must hold clips of each class, got none of {untrained[0]}")
    paths = [str(clip.path) for clip in clips]
    groups = [clip.group for clip in clips]
    for keys, what in ((digests, "the same content"), (paths, "one file"), (groups, "one group")):
        first: dict[str, tuple[str, int]] = {}
        for split in SPLITS:
            for row in rows[split].tolist():
                key = keys[row]
                if key is None:
                    continue
                home, where = first.setdefault(key, (split, row))
                if home != split:
                    raise UserError(f"a split must share nothing with another, got {what} in {home} and {split}: "
                                    f"{clips[where].name} and {clips[row].name}")  # fmt: skip


def _identify(path: Path) -> list[Any]:
    try:
        return identify(path)
    except OSError:
        # The decoding tells it.
        return [str(path), "missing"]
