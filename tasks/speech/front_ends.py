"""Front ends of networks for audio: stems that turn waveforms into shorter sequences of features.

They stand inside the network, so that prediction and export carry them: `stem` of `hyperseq.Terminator` or
`hyperseq.backbones.ResidualStack`.
"""

import warnings
from collections.abc import Sequence
from math import ceil
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, gelu, pad

from hyperseq.functional import Padding, as_padding, mask_padding
from hyperseq.nn import AtLeastFloat32, BatchStandardization
from tasks.errors import UserError, check_at_least
from tasks.speech._torchaudio import import_torchaudio

Lengths = TypeVar("Lengths", int, Tensor)

_INTERPOLATION_REACH = 6
"""Zero crossings of the sinc that interpolates filters, to either side."""

LOG_FLOOR = 1e-6
"""Added to the mel spectrum before the logarithm, as CKConv and S4 do."""


class LearnedFilters(nn.Module):
    """Strided convolutions on the raw waveform, each with a batch standardization and a GELU.

    Layer i turns `strides[i]` positions into one: `y = GELU(BS(conv(x)))`, with zeros beyond both ends.

    At another rate than that of the training, the filters of the first layer are read as band-limited functions of
    time, and `strides[0] / rate` positions become one. The features keep the step that they had in training.

    Args:
        channels: Channels of the output.
        in_channels: Channels of the waveform.
        strides: One stride a layer; `(4, 4)` turns 16 samples into one position.
        taps_per_stride: Width of a kernel in strides; 2 to 8.
        hidden_channels: Channels between the layers; `None` for `channels`.

    Shape:
        `(B, in_channels, L)` to `(B, channels, ceil(L / prod(strides)))`; at another rate with `strides[0] / rate`.

    Raises:
        UserError: If an option is below 1, or `strides[0] / rate` is no positive integer.

    Example:
        >>> filters = LearnedFilters(8, strides=(4, 4))
        >>> filters(torch.randn(2, 1, 100)).shape, filters(torch.randn(2, 1, 50), rate=2.0).shape
        (torch.Size([2, 8, 7]), torch.Size([2, 8, 7]))
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: int = 1,
        strides: Sequence[int] = (4, 4),
        taps_per_stride: int = 4,
        hidden_channels: int | None = None,
    ) -> None:
        super().__init__()
        if not strides or min(strides) < 1:
            raise UserError(f"strides must hold at least one positive integer, got {list(strides)}")
        check_at_least(1, channels=channels, in_channels=in_channels, taps_per_stride=taps_per_stride)
        self.strides, self.taps_per_stride = tuple(strides), taps_per_stride
        widths = [in_channels, *[hidden_channels or channels] * (len(strides) - 1), channels]
        # A standardization follows and subtracts constants, so no layer has a bias.
        self.convolutions = nn.ModuleList(
            nn.Conv1d(narrow, wide, taps_per_stride * stride, stride=stride, bias=False)
            for narrow, wide, stride in zip(widths[:-1], widths[1:], self.strides, strict=True)
        )
        self.standardizations = nn.ModuleList(BatchStandardization(width) for width in widths[1:])

    def output_lengths(self, lengths: Lengths, rate: float = 1.0) -> Lengths:
        """Return the positions of the output for inputs of these lengths, one or one a sample."""
        for stride in (self._first_stride(rate), *self.strides[1:]):
            lengths = (lengths + stride - 1) // stride
        return lengths

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None, rate: float = 1.0) -> Tensor:
        """Filter a waveform.

        Args:
            x: Waveforms, `(B, in_channels, L)`.
            lengths: Filled positions of each, `(B,)`.
            rate: 2.0 means every second sample: the step relative to training.

        Returns:
            `(B, channels, L')`, L' as of `output_lengths`.
        """
        padding = as_padding(lengths, x)
        for layer, (convolution, standardization) in enumerate(
            zip(self.convolutions, self.standardizations, strict=True)
        ):
            weight: Tensor = convolution.weight  # type: ignore[assignment]
            stride = self.strides[layer]
            left = (self.taps_per_stride - 1) * stride // 2
            if layer == 0 and rate != 1:
                weight, stride, left = self._first_filters(weight, rate)
            x = mask_padding(x, padding)
            right = weight.shape[-1] - stride - left + -x.shape[-1] % stride
            x = conv1d(pad(x, (left, right)), weight, stride=stride)
            if padding is not None:
                padding = as_padding((padding.lengths + stride - 1) // stride, x)
            x = gelu(standardization(x, lengths=padding))
        return mask_padding(x, padding)

    def _first_stride(self, rate: float) -> int:
        stride = self.strides[0]
        if not (rate > 0 and (stride / rate).is_integer()):
            raise UserError(
                f"rate must divide the first of strides, {stride}, into a whole number of samples, got {rate}"
            )
        return int(stride / rate)

    def _first_filters(self, weight: Tensor, rate: float) -> tuple[Tensor, int, int]:
        """Return filters for another rate, their stride, and the number of their taps before the first sample."""
        stride, new_stride = self.strides[0], self._first_stride(rate)
        left = (self.taps_per_stride - 1) * stride // 2
        # The interpolation reaches beyond both ends of a filter. Old and new samples coincide once a stride.
        reach = stride * ceil(_INTERPOLATION_REACH * max(rate, 1.0) / stride)
        begin = reach + -left % stride
        resample = import_torchaudio().functional.resample
        # The step is part of the integral that a filter stands for.
        weight = rate * resample(
            pad(weight, (begin, reach)), stride, new_stride, lowpass_filter_width=_INTERPOLATION_REACH
        )
        return weight, new_stride, (begin + left) * new_stride // stride


class FeatureStandardization(AtLeastFloat32):
    """Standardize features by mean and standard deviation of each channel over the training set.

    Training collects the statistics of all positions that it has seen, and uses them at once, so that training and
    evaluation compute the same function. The statistics travel in the state of the module.

    Args:
        channels: Channels of the features.
        eps: Added to the variance.

    Shape:
        `(B, channels, F)` to the same shape.

    Example:
        >>> standardization = FeatureStandardization(3)
        >>> standardization(torch.randn(2, 3, 50)).shape
        torch.Size([2, 3, 50])
    """

    count: Tensor
    sums: Tensor
    squares: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        # Sums, not means: an average over the weights of several steps then weighs each position alike.
        for name, shape in (("count", ()), ("sums", (channels,)), ("squares", (channels,))):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Standardize features; padding does not count."""
        padding = as_padding(lengths, x)
        if self.training:
            filled = mask_padding(x.detach(), padding).double()
            positions = x.shape[0] * x.shape[-1] if padding is None else padding.lengths.sum()
            self.count += positions
            self.sums += filled.sum(dim=(0, 2))
            self.squares += filled.square().sum(dim=(0, 2))
        count = self.count.clamp(min=1)
        mean = self.sums / count
        variance = torch.where(self.count > 0, self.squares / count - mean.square(), torch.ones_like(mean))
        std = (variance.clamp(min=0) + self.eps).sqrt()
        return (x - mean.to(x.dtype)[:, None]) / std.to(x.dtype)[:, None]

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"{self.channels}, eps={self.eps}"


class Spectrum(AtLeastFloat32):
    """Log-mel spectrum, or MFCC: `log(mel(|STFT(x)|²) + 1e-6)`, and its orthonormal DCT over the mel bands.

    Frames are centered at multiples of the hop; beyond both ends of a sample its waveform is mirrored. The mel scale is
    that of HTK, the window of Hann. With `num_mels=64, window=0.0125, hop=0.00625, num_coefficients=20` at 16 kHz the
    result is the MFCC of CKConv and S4.

    Args:
        sample_rate: Samples a second.
        num_mels: Mel bands; 20 to 128.
        window: Length of a frame in seconds; 0.01 to 0.05.
        hop: Step between frames in seconds; 0.005 to 0.02.
        num_coefficients: Coefficients of the DCT; `None` for the log-mel spectrum itself.

    Shape:
        `(B, C, L)` to `(B, C * num_mels, 1 + L // hop)`, or `C * num_coefficients` channels.

    Raises:
        UserError: If an option is out of range.

    Example:
        >>> Spectrum(16000, num_mels=40)(torch.randn(2, 1, 16000)).shape
        torch.Size([2, 40, 101])
    """

    window: Tensor
    filters: Tensor
    transform: Tensor | None

    def __init__(
        self,
        sample_rate: int,
        *,
        num_mels: int = 40,
        window: float = 0.025,
        hop: float = 0.010,
        num_coefficients: int | None = None,
    ) -> None:
        super().__init__()
        check_at_least(1, sample_rate=sample_rate, num_mels=num_mels)
        self.frame, self.hop = round(window * sample_rate), round(hop * sample_rate)
        if self.frame < 2 or self.hop < 1:
            raise UserError(f"window and hop must hold 2 samples and 1 at {sample_rate} Hz, got {window} and {hop}")
        if num_coefficients is not None and not 1 <= num_coefficients <= num_mels:
            raise UserError(f"num_coefficients must lie in 1..num_mels = {num_mels}, got {num_coefficients}")
        self.num_features = num_mels if num_coefficients is None else num_coefficients
        functional = import_torchaudio().functional
        num_bins = self.frame // 2 + 1
        with warnings.catch_warnings():
            # The published settings leave bands without a frequency, too: their features are constant.
            warnings.filterwarnings("ignore", "At least one mel filterbank", UserWarning)
            filters = functional.melscale_fbanks(num_bins, 0.0, sample_rate / 2, num_mels, sample_rate)
        self.register_buffer("window", torch.hann_window(self.frame), persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        transform = None if num_coefficients is None else functional.create_dct(num_coefficients, num_mels, "ortho")
        self.register_buffer("transform", transform, persistent=False)

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return the number of frames for inputs of these lengths, one or one a sample."""
        return 1 + lengths // self.hop

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Compute features; `lengths`, `(B,)`, are the filled positions of the waveforms."""
        padding = as_padding(lengths, x)
        ends = torch.full((len(x),), x.shape[-1], device=x.device) if padding is None else padding.lengths
        left = self.frame // 2
        frames = _mirror(x, ends, left=left, right=self.frame - left).unfold(-1, self.frame, self.hop)
        # Half types have no FFT, and too few digits for a power spectrum.
        with torch.autocast(x.device.type, enabled=False):
            power = torch.fft.rfft(frames * self.window).abs().square()
            features = (power @ self.filters + LOG_FLOOR).log()
            if self.transform is not None:
                features = features @ self.transform
        # (B, C, frames, features) to (B, C * features, frames)
        features = features.mT.flatten(1, 2)
        return features if padding is None else mask_padding(features, as_padding(self.output_lengths(ends), features))


class StandardizedSpectrum(nn.Module):
    """A spectrum whose features are standardized, and masked at random in training.

    Args:
        spectrum: Gives the features.
        in_channels: Channels of the waveform.
        time_mask: Largest share of the frames that training replaces by the mean; 0 to 0.3.
        frequency_mask: Largest share of the features that training replaces by the mean; 0 to 0.3.

    Shape:
        `(B, in_channels, L)` to `(B, in_channels * spectrum.num_features, F)`.

    Raises:
        UserError: If an option is out of range.

    Example:
        >>> StandardizedSpectrum(Spectrum(8000))(torch.randn(2, 1, 8000)).shape
        torch.Size([2, 40, 101])
    """

    def __init__(
        self, spectrum: Spectrum, *, in_channels: int = 1, time_mask: float = 0.0, frequency_mask: float = 0.0
    ) -> None:
        super().__init__()
        check_at_least(1, in_channels=in_channels)
        for name, value in {"time_mask": time_mask, "frequency_mask": frequency_mask}.items():
            if not 0 <= value < 1:
                raise UserError(f"{name} must lie in [0, 1), got {value}")
        self.num_features = in_channels * spectrum.num_features
        self.spectrum, self.standardization = spectrum, FeatureStandardization(self.num_features)
        self.time_mask, self.frequency_mask = time_mask, frequency_mask

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return the number of frames for inputs of these lengths, one or one a sample."""
        return self.spectrum.output_lengths(lengths)

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Compute features; `lengths`, `(B,)`, are the filled positions of the waveforms."""
        features = self.spectrum(x, lengths=lengths)
        padding = self._pad_features(features, x, lengths)
        features = self.standardization(features, lengths=padding)
        if self.training:
            ends = None if padding is None else padding.lengths
            features = mask_at_random(features, ends, time=self.time_mask, frequency=self.frequency_mask)
        return mask_padding(features.to(x.dtype), padding)

    def _pad_features(self, features: Tensor, x: Tensor, lengths: Tensor | Padding | None) -> Padding | None:
        padding = as_padding(lengths, x)
        return None if padding is None else as_padding(self.output_lengths(padding.lengths), features)


class _SpectralStem(StandardizedSpectrum):
    """A standardized spectrum, mixed to the channels of the network."""

    def __init__(
        self, spectrum: Spectrum, *, channels: int, in_channels: int, time_mask: float, frequency_mask: float
    ) -> None:
        check_at_least(1, channels=channels)
        super().__init__(spectrum, in_channels=in_channels, time_mask=time_mask, frequency_mask=frequency_mask)
        self.mixing = nn.Conv1d(self.num_features, channels, 1)

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Compute features; `lengths`, `(B,)`, are the filled positions of the waveforms."""
        features = super().forward(x, lengths=lengths)
        return mask_padding(self.mixing(features), self._pad_features(features, x, lengths))


class LogMel(_SpectralStem):
    """Log-mel spectrum as a stem: `Spectrum`, standardized by the training set, mixed to the channels of the network.

    Args:
        sample_rate: Samples a second; the command takes it from the data.
        channels: Channels of the output.
        in_channels: Channels of the waveform.
        num_mels: Mel bands; 20 to 128.
        window: Length of a frame in seconds; 0.01 to 0.05.
        hop: Step between frames in seconds; 0.005 to 0.02.
        time_mask: Largest share of the frames that training replaces by the mean (SpecAugment, Park et al. 2019,
            arXiv 1904.08779); 0 to 0.3.
        frequency_mask: Largest share of the bands that training replaces by the mean; 0 to 0.3.

    Shape:
        `(B, in_channels, L)` to `(B, channels, 1 + L // (hop * sample_rate))`.

    Raises:
        UserError: If an option is out of range.

    Example:
        >>> LogMel(8000, 16)(torch.randn(2, 1, 8000)).shape
        torch.Size([2, 16, 101])
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        in_channels: int = 1,
        num_mels: int = 40,
        window: float = 0.025,
        hop: float = 0.010,
        time_mask: float = 0.0,
        frequency_mask: float = 0.0,
    ) -> None:
        spectrum = Spectrum(sample_rate, num_mels=num_mels, window=window, hop=hop)
        super().__init__(
            spectrum, channels=channels, in_channels=in_channels, time_mask=time_mask, frequency_mask=frequency_mask
        )


class MFCC(_SpectralStem):
    """Mel-frequency cepstral coefficients as a stem: as `LogMel`, with a DCT over the bands.

    The defaults are the settings of CKConv and S4 for Speech Commands at 16 kHz: 161 frames of 20 coefficients.

    Args:
        sample_rate: Samples a second; the command takes it from the data.
        channels: Channels of the output.
        in_channels: Channels of the waveform.
        num_coefficients: Coefficients of the DCT; 13 to 40.
        num_mels: Mel bands; 20 to 128.
        window: Length of a frame in seconds; 0.01 to 0.05.
        hop: Step between frames in seconds; 0.005 to 0.02.
        time_mask: Largest share of the frames that training replaces by the mean; 0 to 0.3.

    Shape:
        `(B, in_channels, L)` to `(B, channels, 1 + L // (hop * sample_rate))`.

    Raises:
        UserError: If an option is out of range.

    Example:
        >>> MFCC(16000, 32)(torch.randn(2, 1, 16000)).shape
        torch.Size([2, 32, 161])
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        *,
        in_channels: int = 1,
        num_coefficients: int = 20,
        num_mels: int = 64,
        window: float = 0.0125,
        hop: float = 0.00625,
        time_mask: float = 0.0,
    ) -> None:
        spectrum = Spectrum(sample_rate, num_mels=num_mels, window=window, hop=hop, num_coefficients=num_coefficients)
        # A mask over coefficients is no mask over frequencies.
        super().__init__(spectrum, channels=channels, in_channels=in_channels, time_mask=time_mask, frequency_mask=0.0)


def mask_at_random(features: Tensor, lengths: Tensor | None, *, time: float, frequency: float) -> Tensor:
    """Replace one stretch of frames and one of channels of each sample by 0, each up to this share of all.

    Args:
        features: `(B, C, F)`.
        lengths: Filled frames of each sample, `(B,)`; `None` for all.
        time: Largest share of the frames; a width from 0 to it is drawn from torch's generator.
        frequency: Largest share of the channels.

    Returns:
        `(B, C, F)`.
    """
    batch, channels, frames = features.shape
    ends = torch.full((batch,), frames, device=features.device) if lengths is None else lengths
    if time:
        features = features.masked_fill(_draw_stretch(ends, frames, time)[:, None, :], 0)
    if frequency:
        bands = torch.full((batch,), channels, device=features.device)
        features = features.masked_fill(_draw_stretch(bands, channels, frequency)[:, :, None], 0)
    return features


def _draw_stretch(ends: Tensor, size: int, share: float) -> Tensor:
    """Draw one stretch below each end, `(B,)`, and return its mask, `(B, size)`."""
    width, start = torch.rand(2, len(ends), device=ends.device)
    width = (width * share * ends).long()
    start = (start * (ends - width + 1)).long()
    positions = torch.arange(size, device=ends.device)
    return (positions >= start[:, None]) & (positions < (start + width)[:, None])


def _mirror(x: Tensor, ends: Tensor, *, left: int, right: int) -> Tensor:
    """Extend each sample of `(B, C, L)` by mirrored positions at both of its own ends."""
    positions = torch.arange(-left, x.shape[-1] + right, device=x.device)
    last = (ends - 1)[:, None]
    # A sample shorter than a frame is mirrored again and again: a triangle wave. Beyond, any position will do.
    period = (2 * last).clamp(min=1)
    places = positions.remainder(period)
    places = torch.minimum(places, period - places).clamp(max=x.shape[-1] - 1)
    places = torch.where(last > 0, places, torch.zeros_like(places))
    return x.gather(-1, places[:, None, :].expand(-1, x.shape[1], -1))
