"""Waveforms of another rate than that of the training, for tests of a trained network."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from tasks.errors import UserError
from tasks.speech.audio_files import resample

ProtocolName = Literal["strided", "resampled"]


@dataclass(frozen=True)
class OtherRate:
    """Brings inputs to another rate.

    Attributes:
        sample_rate: Samples a second of the inputs.
        test_rate: Samples a second of the result.
        protocol: `strided` takes every k-th sample: what lies above half of the new rate is folded below it.
            `resampled` removes that first.
        told: Whether the network is given `rate`.

    Raises:
        UserError: If an option is out of range.

    Example:
        >>> OtherRate(8000, 4000, protocol="strided", told=True).rate
        2.0
    """

    sample_rate: int
    test_rate: int
    protocol: ProtocolName
    told: bool

    def __post_init__(self) -> None:
        if self.protocol not in get_args(ProtocolName):
            raise UserError(f"test_protocol must be one of {', '.join(get_args(ProtocolName))}, got {self.protocol!r}")
        if self.test_rate < 1:
            raise UserError(f"test_rate must be at least 1, got {self.test_rate}")
        if self.protocol == "strided" and self.sample_rate % self.test_rate:
            raise UserError(
                f"test_rate must divide sample_rate = {self.sample_rate} with test_protocol=strided, "
                f"got {self.test_rate}"
            )

    @property
    def rate(self) -> float:
        """The step between samples relative to training: 2.0 for half the samples."""
        return self.sample_rate / self.test_rate

    def change(self, x: Tensor) -> Tensor:
        """Return an input `(C, L)` at the new rate, `(C, ceil(L / rate))`."""
        if self.protocol == "strided":
            return x[:, :: self.sample_rate // self.test_rate]
        return resample(x, rate=self.sample_rate, to=self.test_rate)
