"""A classifier of recordings: train on a folder, answer for files, arrays and tensors of any rate and length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tasks.errors import UserError
from tasks.estimators.predict_files import check_native_rate, stack_samples
from tasks.estimators.run import Run, load_run
from tasks.runs.run_folder import RunFolder
from tasks.shipped import find_configs
from tasks.training.cli_parser import RefusedOptions
from tasks.training.trainer_cli import TrainingCLI, find_reason
from tasks.training.warning_filters import quiet

Recording = str | Path | tuple[np.ndarray | Tensor, int]
"""A file, or samples `(L,)` or `(channels, L)` with their rate."""


class Window(NamedTuple):
    """The answer for one window of a recording."""

    start: float
    """Beginning in seconds."""
    end: float
    """End in seconds."""
    probabilities: Tensor
    """One probability a class, `(num_classes,)`."""


class AudioClassifier:
    """A trained classifier of recordings.

    A recording of any rate is resampled to that of the training. One that is longer than a window of the training is
    cut into windows, and the probabilities are averaged over them.

    Args:
        run: A run whose data module reads audio, as `hyperseq fit --config configs/speech/folder.yaml` leaves it.
        native_rate: Give the network the samples as they are, and their rate, in place of resampled ones.

    Raises:
        UserError: If the data of the run are no audio, its head has no probability for each class, or the network takes
            no rate with `native_rate`.
    """

    def __init__(self, run: Run, *, native_rate: bool = False) -> None:
        if not hasattr(run.model.head, "probabilities"):
            raise UserError(f"run must have a head with probabilities, got {type(run.model.head).__name__}")
        if run.description.sample_rate is None:
            raise UserError(f"run must be one of audio, got {run.path} without a sample rate")
        if native_rate:
            check_native_rate(run)
        self.run, self.native_rate = run, native_rate
        self._data: Any = run.preprocessing

    @classmethod
    def load(cls, path: str | Path, *, native_rate: bool = False) -> "AudioClassifier":
        """Load a run folder; `UserError` as of `load_run` and above.

        Example:
            >>> classifier = AudioClassifier.load("runs/folder/1")  # doctest: +SKIP
            >>> classifier.predict(["new.wav"])  # doctest: +SKIP
            ['dog']
        """
        return cls(load_run(path), native_rate=native_rate)

    @classmethod
    def train(cls, source: str | Path, *options: str) -> "AudioClassifier":
        """Train as `hyperseq fit --config <source> <options>` does, and load the run that is left.

        Args:
            source: A folder of recordings with a folder for each class, which the shipped config `speech/folder` is
                trained on; or a config of audio, such as `configs/speech/fsdd.yaml`.
            options: Options of the command, such as `--trainer.max_epochs=10`.

        Raises:
            UserError: If there is no such folder or config, or the command would refuse the options or the data.

        Example:
            >>> classifier = AudioClassifier.train("recordings/")  # doctest: +SKIP
        """
        config = source
        if Path(source).is_dir():
            config, options = find_configs()["speech/folder"], (f"--data.root={source}", *options)
        elif not Path(source).is_file():
            raise UserError(f"source must be a folder of recordings or a config file, got {str(source)!r}")
        try:
            with quiet():
                command = TrainingCLI(["fit", "--config", str(config), *options])
        except RefusedOptions as refused:
            raise UserError(refused.reason) from refused
        except ValueError as error:
            if reason := find_reason(error):
                raise UserError(str(reason)) from error
            raise
        folder = command.run_folder
        assert isinstance(folder, RunFolder)
        return cls.load(folder.path)

    @property
    def classes_(self) -> np.ndarray:
        """Names of the classes in the order of the probabilities, as of the estimators of scikit-learn."""
        return np.array(self.run.class_names)

    def predict(self, recordings: Sequence[Recording]) -> np.ndarray:
        """Name the most probable class of each recording, `(N,)`; errors as of `predict_proba`."""
        return self.classes_[self.predict_proba(recordings).argmax(axis=1)]

    def score(self, recordings: Sequence[Recording], labels: Sequence[str]) -> float:
        """Compute the share of the recordings that are answered by their labels.

        Raises:
            UserError: As of `predict_proba`, or if there is not one label for each recording, at least one.
        """
        if len(labels) != len(recordings) or not len(labels):
            raise UserError(f"labels must be one for each recording, got {len(labels)} for {len(recordings)}")
        return float((self.predict(recordings) == np.asarray(labels)).mean())

    def predict_proba(self, recordings: Sequence[Recording]) -> np.ndarray:
        """Compute the probability of each class, `(N, num_classes)`, averaged over the windows of each recording.

        Raises:
            UserError: As of `predict_windows`, or if `recordings` is one recording and no sequence of them.
        """
        is_pair = isinstance(recordings, tuple) and len(recordings) == 2 and isinstance(recordings[1], int)
        if is_pair or isinstance(recordings, str | Path | np.ndarray | Tensor):
            kind = type(recordings).__name__
            raise UserError(f"recordings must be a list, such as [path] or [(samples, rate)], got one {kind}")
        means = [torch.stack([each.probabilities for each in self.predict_windows(recording)]).mean(dim=0)
                 for recording in recordings]  # fmt: skip
        return torch.stack(means).numpy() if means else np.empty((0, len(self.classes_)), np.float32)

    def predict_windows(
        self, recording: Recording, *, window: float | None = None, hop: float | None = None
    ) -> list[Window]:
        """Answer for each window of a recording; the last window ends with the recording.

        Args:
            recording: A file, or samples with their rate in Hz.
            window: Length in seconds; `None` for that of the training, longer ones are refused.
            hop: Step between windows in seconds; `None` for half a window.

        Returns:
            One answer a window; a recording shorter than a window is one.

        Raises:
            UserError: If the file is bad, the samples have another shape, or window or hop are out of range.
        """
        places, outputs = self.compute_windows(recording, window=window, hop=hop)
        probabilities = self.run.model.head.probabilities(outputs)
        return [Window(start, end, found) for (start, end), found in zip(places, probabilities, strict=True)]

    def compute_windows(
        self, recording: Recording, *, window: float | None = None, hop: float | None = None
    ) -> tuple[list[tuple[float, float]], Tensor]:
        """Compute the outputs of the head, such as logits, for each window; arguments and errors of `predict_windows`.

        Returns:
            Start and end of each window in seconds, and the outputs, `(N, num_classes)`.
        """
        window, hop = self.check_window(window, hop)
        audio = self._read(recording)
        if self.native_rate:
            waveform, rate = self._data.prepare_native(audio)
        else:
            waveform, rate = self._data.prepare(audio), self._data.sample_rate
        size, step = max(round(window * rate), 1), max(round(hop * rate), 1)
        pieces = self._data.cut_windows(waveform, size=size, hop=step)
        places = [(start / rate, (start + piece.shape[1]) / rate) for start, piece in pieces.items()]
        inputs = [self._data.normalize(piece, rate=rate) for piece in pieces.values()]
        batch, relative = self._data.batch_size, self._data.sample_rate / rate
        outputs = [
            self.run.compute_outputs(*stack_samples(inputs[first : first + batch]), rate=relative)
            for first in range(0, len(inputs), batch)
        ]
        return places, torch.cat(outputs)

    def check_window(self, window: float | None, hop: float | None) -> tuple[float, float]:
        """Return window and hop of `predict_windows` in seconds; `UserError` if one is out of range."""
        longest = self._data.seconds
        window = longest if window is None else window
        hop = window / 2 if hop is None else hop
        if not 0 < window <= longest:
            raise UserError(f"window must lie in (0, {longest:g}], the window of the training in seconds, got {window}")
        if not 0 < hop <= window:
            raise UserError(f"hop must lie in (0, window = {window:g}], so that no sample is left out, got {hop}")
        return window, hop

    def _read(self, recording: Recording) -> tuple[Tensor, int]:
        if isinstance(recording, str | Path):
            return self._data.read_audio(Path(recording))
        if not isinstance(recording, tuple) or len(recording) != 2:
            raise UserError(f"recording must be a path or (samples, rate), got {type(recording).__name__}")
        samples, rate = torch.as_tensor(recording[0]), recording[1]
        if not samples.is_floating_point() or samples.ndim not in (1, 2) or not samples.numel():
            found = f"{tuple(samples.shape)} of {str(samples.dtype).removeprefix('torch.')}"
            raise UserError(f"samples must be (L,) or (channels, L) of real numbers in [-1, 1], got {found}")
        if samples.ndim == 2 and samples.shape[0] > samples.shape[1]:
            shape = tuple(samples.shape)
            raise UserError(
                f"samples must be (channels, L), got {shape}; soundfile gives (L, channels): take samples.T"
            )
        if not samples.isfinite().all():
            raise UserError("samples must be finite, got NaN or infinity")
        if not samples.any():
            raise UserError("samples must not be silent, got 0 alone")
        if not isinstance(rate, int) or rate < 1:
            raise UserError(f"rate must be a positive integer in Hz, got {rate!r}")
        return samples.float().reshape(-1, samples.shape[-1]), rate
