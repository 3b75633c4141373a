"""What the data modules of audio share: decoding, windows, normalization, augmentation, new files."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from tasks.data.batches import Batch, TensorBatches, pad_to_longest
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.draws import uniform_draws
from tasks.data.ragged import RaggedSequences
from tasks.errors import UserError
from tasks.speech.audio_files import Audio, AudioError, find_audio_files, read_audio, resample
from tasks.speech.decoded_clips import DecodedClips, load_decoded_clips
from tasks.speech.other_rates import OtherRate, ProtocolName
from tasks.speech.waveform_augmentation import NUM_DRAWS, WaveformAugmentation

Item = TypeVar("Item")
NormalizationName = Literal["global", "per_time_step", "legacy", "none"]

LEGACY_SCALE, LEGACY_EPS = 2.0**-15, 1e-5
"""S4, S5 and CCNN divide by 2^15 samples that are in [-1, 1] already, and add this to the standard deviation."""


class Recordings(NamedTuple):
    """The clips of a data set."""

    waveforms: RaggedSequences
    """One `(channels, L_i)` a clip."""
    labels: Tensor
    """Class of each clip, `(N,)` of `int64`."""
    rows: dict[str, Tensor]
    """Sorted positions of the clips of each split."""
    names: list[str]
    """Name of each clip, such as its file."""


class AudioDataModule(InMemoryDataModule):
    """Waveforms of one rate, at most as long as a window; a subclass overrides `read_recordings`.

    Clips longer than the window are cut: training draws another stretch each epoch, validation and test take the
    middle. Shorter ones keep their length, and batches have `lengths`; with `fill` zeros fill the window.

    Args:
        sample_rate: Samples a second; files of another rate are resampled.
        seconds: Length of the window.
        fill: Fill shorter clips with zeros at the end, so that all inputs have the length of the window.
        channels: `mono` mixes all channels down; an integer keeps so many.
        normalization: `global` subtracts the mean of all training samples and divides by their standard deviation;
            `per_time_step` does so at each position, which needs `fill`; `legacy` does so as S4, S5 and CCNN do, after
            another division by 2^15; `none` keeps samples in [-1, 1].
        augmentation: Random changes of the training clips.
        test_rate: Samples a second of the test clips, for `hyperseq test` of a network trained at `sample_rate`.
        test_protocol: `strided` takes every second sample, or every third and so on, of the normalized clips without a
            filter, as S4 and S5 do; `resampled` filters them first, which is easier.
        tell_rate: Give the network the `rate` of the test clips; false tests it without.
        root: Folder of all data sets.
        cache: Folder of the decoded clips. They are decoded again when an option or a file has changed.
        batch_size: Samples a batch.
        bucket_by_length: Put clips of like length into one batch: less padding.
        split_seed: Seed of the split; the seed of the training does not change the split.
        seed: Seed of the order and the augmentation of the training batches.
        num_workers: Processes that load; 1 or 2 help where clips are augmented.

    Raises:
        UserError: As `InMemoryDataModule`, or if an option is out of range.
    """

    num_spatial_dims = 1
    sample_rate: int

    def __init__(
        self,
        *,
        sample_rate: int,
        seconds: float,
        fill: bool = False,
        channels: int | Literal["mono"] = "mono",
        normalization: NormalizationName = "global",
        augmentation: WaveformAugmentation | None = None,
        test_rate: int | None = None,
        test_protocol: ProtocolName = "strided",
        tell_rate: bool = True,
        root: Path = Path("data"),
        cache: Path = Path("data/decoded"),
        batch_size: int = 32,
        bucket_by_length: bool = True,
        split_seed: int = 42,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            split_seed=split_seed,
            seed=seed,
            num_workers=num_workers,
            bucket_by_length=bucket_by_length and not fill,
        )
        if sample_rate < 1:
            raise UserError(f"sample_rate must be at least 1, got {sample_rate}")
        if round(seconds * sample_rate) < 1:
            raise UserError(f"seconds must hold at least 1 sample at {sample_rate} Hz, got {seconds}")
        if channels != "mono" and channels < 1:
            raise UserError(f"channels must be mono or at least 1, got {channels}")
        if normalization in ("per_time_step", "legacy") and not fill:
            raise UserError(f"fill must be true with normalization={normalization}, got false")
        self.sample_rate, self.seconds, self.fill, self.channels = sample_rate, seconds, fill, channels
        self.normalization, self.augmentation = normalization, augmentation
        self.other_rate = None
        if test_rate is not None:
            self.other_rate = OtherRate(sample_rate, test_rate, protocol=test_protocol, told=tell_rate)
        self.root, self.cache = Path(root), Path(cache)
        self.in_channels = 1 if channels == "mono" else channels
        self.size = (round(seconds * sample_rate),)

    def setup(self, stage: str | None = None) -> None:
        """Read all splits, once; `UserError` if a training is asked to test at another rate."""
        if stage == "fit" and self.other_rate:
            got = self.other_rate.test_rate
            raise UserError(f"test_rate must be left to `hyperseq test` of the trained network, got {got} for fit")
        super().setup(stage)

    def read_recordings(self) -> Recordings:
        """Read and split the clips; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} must override read_recordings")

    def read_splits(self) -> dict[str, TensorBatches]:
        """Read, split and normalize the clips."""
        if self.learnt:
            # Before the clips are decoded, which may take long.
            self._check_learnt()
        waveforms, labels, rows, self.sample_names = self.read_recordings()
        if not self.learnt:
            self.learnt = self._learn(waveforms.select(rows["train"]))
        splits = {}
        for split in SPLITS:
            index = rows[split]
            changes = self._changes() if split == "train" else None
            other_rate = self.other_rate if split == "test" else None
            transform = partial(_transform, window=self._window(), changes=changes, other_rate=other_rate)
            clips = waveforms.select(index)
            splits[split] = TensorBatches(x=clips, y=labels[index], index=index, transform=transform)
        return splits

    def read_samples(self, path: Path) -> dict[str, Tensor]:
        """Read an audio file of any rate for prediction: one input, or one for each window of a longer file.

        Windows overlap by half; the last one ends with the file. Names of windows are `<path>[<start>-<end>ms]`.
        """
        return self._read_windows(path, native=False)[0]

    def read_native_samples(self, path: Path) -> tuple[dict[str, Tensor], float]:
        """Read an audio file as `read_samples` does, but at its own rate; return its `rate` for the network, too."""
        samples, rate = self._read_windows(path, native=True)
        return samples, self.sample_rate / rate

    def _read_windows(self, path: Path, *, native: bool) -> tuple[dict[str, Tensor], int]:
        try:
            audio = self.read_audio(path)
        except AudioError as error:
            raise UserError(error.reason) from error
        waveform, rate = self.prepare_native(audio) if native else (self.prepare(audio), self.sample_rate)
        size = max(round(self.seconds * rate), 1)
        windows = self.cut_windows(waveform, size=size, hop=max(size // 2, 1))
        inputs = {start: self.normalize(window, rate=rate) for start, window in windows.items()}
        if len(inputs) == 1:
            return {str(path): next(iter(inputs.values()))}, rate
        milliseconds = {start: [round(1000 * place / rate) for place in (start, start + size)] for start in inputs}
        return {f"{path}[{'{}-{}'.format(*milliseconds[start])}ms]": x for start, x in inputs.items()}, rate

    def find_files(self, folder: Path) -> list[Path]:
        """Return the audio files below a folder, sorted."""
        return find_audio_files(folder)

    def read_audio(self, path: Path) -> Audio:
        """Decode an audio file as it is, or standard input for `-`; `AudioError` if it is bad."""
        return read_audio(sys.stdin.buffer.read() if str(path) == "-" else path)

    def prepare(self, audio: tuple[Tensor, int]) -> Tensor:
        """Bring a waveform to the rate and the channels of the training, `(in_channels, L)`."""
        return prepare_waveform(audio, sample_rate=self.sample_rate, channels=self.channels)

    def prepare_native(self, audio: tuple[Tensor, int]) -> Audio:
        """Bring a waveform to the channels of the training, at its own rate.

        Raises:
            UserError: If the normalization belongs to the positions of the training.
        """
        if self.normalization in ("per_time_step", "legacy"):
            raise UserError(f"native_rate must be left out with normalization={self.normalization}, whose statistics "
                            "belong to the positions of the training")  # fmt: skip
        rate = audio[1]
        return Audio(prepare_waveform(audio, sample_rate=rate, channels=self.channels), rate)

    def normalize(self, clip: Tensor, *, rate: int | None = None) -> Tensor:
        """Turn a clip, `(in_channels, L)` of at most the length of the window, into an input of the network.

        `rate` are the samples a second of the clip; `None` for those of the training.
        """
        return self._window(rate).normalize(clip)

    @staticmethod
    def cut_windows(waveform: Tensor, *, size: int, hop: int) -> dict[int, Tensor]:
        """Cut a waveform `(C, L)` into windows by their first position; the last one ends with the waveform.

        A waveform shorter than the window is one window of its own length.
        """
        length = waveform.shape[1]
        if length <= size:
            return {0: waveform}
        starts = [*range(0, length - size, hop), length - size]
        return {start: waveform[:, start : start + size] for start in starts}

    def decode(
        self,
        items: Callable[[], Iterable[tuple[str, Item]]],
        read: Callable[[str, Item], Audio],
        *,
        num_items: int,
        identity: Mapping[str, Any],
    ) -> DecodedClips:
        """Decode the clips of a data set, or map those of an earlier call; see `load_decoded_clips`.

        Args:
            items: Yields name and source of each clip.
            read: Decodes the source of a name.
            num_items: Number of items.
            identity: Names the files, as plain values that change with them.
        """

        def decode_clip(name: str, source: Item) -> Tensor:
            audio = read(name, source)
            if self.channels not in ("mono", len(audio.waveform)):
                found = len(audio.waveform)
                raise AudioError(name, f"it must have the {self.channels} of the option channels, got {found}")
            return self.prepare(audio)

        return load_decoded_clips(
            self.cache,
            key={"sample_rate": self.sample_rate, "channels": self.channels, **identity},
            items=items,
            decode=decode_clip,
            num_items=num_items,
        )

    def _learn(self, clips: RaggedSequences) -> dict[str, Any]:
        learnt: dict[str, Any] = {"sample_rate": self.sample_rate, "normalization": self.normalization}
        if self.normalization in ("per_time_step", "legacy"):
            mean, square = torch.zeros(2, self.in_channels, self.size[0], dtype=torch.float64)
            for clip in clips:
                filled = fit_window(clip, self.size[0]).double() * _scale(self.normalization)
                mean += filled / len(clips)
                square += filled.square() / len(clips)
            std = (square - mean.square()).clamp(min=0).sqrt()
            return learnt | {"mean": mean.tolist(), "std": std.tolist()}
        if self.normalization == "global":
            count = sum(clip.numel() for clip in clips)
            average = sum(float(clip.sum(dtype=torch.float64)) for clip in clips) / count
            power = sum(float((clip.double() - average).square().sum()) for clip in clips) / count
            return learnt | {"mean": average, "std": power**0.5}
        return learnt | {"mean": 0.0, "std": 1.0}

    def _check_learnt(self) -> None:
        """Refuse weights of a network that has learnt with clips of another form."""
        mean = self.learnt["mean"]
        size = len(mean[0]) if isinstance(mean, list) else self.size[0]
        if size != self.size[0]:
            raise UserError(f"seconds must give the {size} samples of the trained weights, got {self.size[0]}")
        for name, own in {"sample_rate": self.sample_rate, "normalization": self.normalization}.items():
            if (known := self.learnt.get(name, own)) != own:
                raise UserError(f"{name} must be {known}, with which the weights were trained, got {own}")

    def _window(self, rate: int | None = None) -> "Window":
        mean, std = (torch.tensor(self.learnt[name], dtype=torch.float32) for name in ("mean", "std"))
        if self.normalization in ("per_time_step", "legacy"):
            std = std + LEGACY_EPS
        size = max(round(self.seconds * (rate or self.sample_rate)), 1)
        return Window(size, fill=self.fill, mean=mean, std=std, scale=_scale(self.normalization))

    def _changes(self) -> "_Changes":
        augmentation = self.augmentation or WaveformAugmentation()
        return _Changes(augmentation, augmentation.read_noises(self.sample_rate), self.sample_rate, self.seed)


@dataclass(frozen=True)
class Window:
    """Turns clips into inputs: at most `size` positions, filled with zeros if `fill`, and normalized."""

    size: int
    fill: bool
    mean: Tensor
    std: Tensor
    scale: float

    def normalize(self, clip: Tensor) -> Tensor:
        """Turn a clip `(C, L)` into an input; a longer one is cut to its middle."""
        cut = cut_at(clip, self.size, 0.5)
        return (((fit_window(cut, self.size) if self.fill else cut) * self.scale) - self.mean) / self.std


@dataclass(frozen=True)
class _Changes:
    augmentation: WaveformAugmentation
    noises: list[Tensor]
    rate: int
    seed: int

    def __call__(self, clip: Tensor, draws: Tensor, size: int) -> Tensor:
        """Change one clip, then cut a stretch of at most `size` out of it."""
        changed = self.augmentation(clip, draws[:NUM_DRAWS], rate=self.rate, noises=self.noises)
        return cut_at(changed, size, float(draws[NUM_DRAWS]))


def prepare_waveform(audio: tuple[Tensor, int], *, sample_rate: int, channels: int | Literal["mono"]) -> Tensor:
    """Bring a waveform to this rate, and mix it down or check its channels; `(C, L)`.

    Raises:
        UserError: If the channels are others than those wanted.
    """
    waveform, rate = audio
    if channels == "mono":
        waveform = waveform.mean(dim=0, keepdim=True)
    elif len(waveform) != channels:
        raise UserError(f"a recording must have as many channels as the training, {channels}, got {len(waveform)}")
    return resample(waveform, rate=rate, to=sample_rate)


def cut_at(clip: Tensor, size: int, place: float) -> Tensor:
    """Cut `size` positions out of a longer clip `(C, L)`: the first ones at place 0, the last ones at place 1."""
    spare = clip.shape[1] - size
    if spare <= 0:
        return clip
    start = min(int(place * (spare + 1)), spare)
    return clip[:, start : start + size]


def fit_window(clip: Tensor, size: int) -> Tensor:
    """Fill a clip `(C, L)` with zeros at its end to `size` positions, or cut it to its middle."""
    return cut_at(pad(clip, (0, max(size - clip.shape[1], 0))), size, 0.5)


def _transform(
    batch: Batch, epoch: int, *, window: Window, changes: _Changes | None, other_rate: OtherRate | None
) -> Batch:
    x, index = batch["x"], batch["index"]
    clips = [clip[:, :length] for clip, length in zip(x, batch["lengths"].tolist(), strict=True)]
    if changes is not None:
        draws = uniform_draws(index, num_draws=NUM_DRAWS + 1, seed=changes.seed, epoch=epoch)
        clips = [changes(clip, row, window.size) for clip, row in zip(clips, draws, strict=True)]
    inputs = [window.normalize(clip) for clip in clips]
    if other_rate:
        inputs = list(map(other_rate.change, inputs))
    x, lengths = pad_to_longest(inputs)
    made = Batch(x=x, y=batch["y"], index=index)
    if not window.fill:
        made["lengths"] = lengths
    if other_rate and other_rate.told:
        made["rate"] = other_rate.rate
    return made


def _scale(normalization: NormalizationName) -> float:
    return LEGACY_SCALE if normalization == "legacy" else 1.0
