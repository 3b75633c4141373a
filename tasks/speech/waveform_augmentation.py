"""Random changes of training clips, drawn from the seed, the epoch and the position of each sample alone."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path

from torch import Tensor
from torch.nn.functional import interpolate, pad

from tasks.errors import UserError
from tasks.speech.audio_files import find_audio_files, read_audio, resample

NUM_DRAWS = 6
"""Random numbers that the changes of one clip take."""


@dataclass(frozen=True)
class WaveformAugmentation:
    """Changes clips at random: speed, time shift, noise, gain, in this order.

    Attributes:
        speed: Largest relative change of the speed, which changes the pitch, too; 0 to 0.2.
        shift: Largest shift in seconds, to either side; zeros enter; 0 to 0.2.
        gain: Largest change of the loudness in dB, to either side; 0 to 12.
        noise: Folder of recordings to add, resampled to the rate of the clips and mixed down; `None` for none.
        snr: Lowest and highest signal-to-noise ratio of the added noise in dB; (0, 20) is loud to soft.

    Raises:
        UserError: If an option is out of range, or `noise` holds no audio file.
    """

    speed: float = 0.0
    shift: float = 0.0
    gain: float = 0.0
    noise: Path | None = None
    snr: tuple[float, float] = (5.0, 20.0)

    def __post_init__(self) -> None:
        if not 0 <= self.speed < 1:
            raise UserError(f"speed must lie in [0, 1), got {self.speed}")
        for name in ("shift", "gain"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.snr[0] > self.snr[1]:
            raise UserError(f"snr must be the lowest, then the highest ratio in dB, got {self.snr}")

    def read_noises(self, rate: int) -> list[Tensor]:
        """Read the recordings of the folder `noise`, each `(L,)` at this rate."""
        if self.noise is None:
            return []
        paths = find_audio_files(Path(self.noise))
        if not paths:
            raise UserError(f"noise must be a folder with audio files, got {self.noise}")
        audios = map(read_audio, paths)
        return [resample(waveform.mean(dim=0), rate=found, to=rate) for waveform, found in audios]

    def __call__(self, clip: Tensor, draws: Tensor, *, rate: int, noises: list[Tensor]) -> Tensor:
        """Change one clip.

        Args:
            clip: `(channels, L)`.
            draws: `(NUM_DRAWS,)` from 0 to below 1.
            rate: Samples a second.
            noises: What `read_noises` returned.

        Returns:
            `(channels, L')`; another length only by another speed.
        """
        speed, shift, gain, which, where, ratio = draws.tolist()
        if self.speed:
            clip = change_speed(clip, 1 + self.speed * (2 * speed - 1))
        if self.shift:
            clip = shift_in_time(clip, round(self.shift * rate * (2 * shift - 1)))
        if noises:
            noise = noises[int(which * len(noises))]
            noise = noise.repeat(ceil(clip.shape[1] / len(noise)) + 1)
            start = int(where * (len(noise) - clip.shape[1] + 1))
            low, high = self.snr
            clip = add_noise(clip, noise[start : start + clip.shape[1]], snr=low + ratio * (high - low))
        return clip * 10 ** (self.gain * (2 * gain - 1) / 20)


def change_speed(clip: Tensor, factor: float) -> Tensor:
    """Play a clip `(channels, L)` faster: `(channels, round(L / factor))`, linear between samples."""
    length = max(round(clip.shape[1] / factor), 1)
    return interpolate(clip[None], size=length, mode="linear", align_corners=False)[0]


def shift_in_time(clip: Tensor, steps: int) -> Tensor:
    """Shift a clip `(channels, L)` by so many samples, later if positive; zeros enter, and the length stays."""
    steps = max(-clip.shape[1], min(steps, clip.shape[1]))
    return pad(clip, (steps, -steps))


def add_noise(clip: Tensor, noise: Tensor, *, snr: float) -> Tensor:
    """Add noise `(L,)` to a clip `(channels, L)` at a signal-to-noise ratio in dB; silence on either side adds none."""
    signal_power, noise_power = clip.square().mean(), noise.square().mean()
    if not noise_power > 0:
        return clip
    return clip + noise * (signal_power / noise_power / 10 ** (snr / 10)).sqrt()
