"""What a user might train instead of the networks of `configs/speech`: a GRU, dilated convolutions, a 2D network.

``python -m benchmarks.speech_peers gru --seconds 420`` trains on FSDD by `hyperseq fit`, with another network in the
place of ours. The seconds are CPU seconds: those that ours took. Further words go to `hyperseq fit`.
"""

import argparse
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from benchmarks.series_peers import add_training_options, timed_words
from hyperseq.functional import Padding, as_padding, mask_padding
from tasks.cli import main as hyperseq
from tasks.speech.front_ends import Spectrum, StandardizedSpectrum

Lengths = TypeVar("Lengths", int, Tensor)

CONFIGS = {"gru": "fsdd_mfcc", "dilated": "fsdd", "image": "fsdd_logmel"}
"""The config in configs/speech whose data, front end and schedule a peer shares."""

LEARNING_RATES = {"gru": 3e-3, "dilated": 5e-3, "image": 5e-3}


class SpectrogramImage(nn.Module):
    """Read the log-mel spectrum as an image: 3x3 convolutions in 2D, each with a batch norm, a ReLU and a pooling by 2.

    A backbone by itself: the mean over the mel bands is left to the features `(B, C, F)`.

    Args:
        in_channels: Channels of the waveform: 1.
        stem: Gives the spectrum.
        channels: Channels of each convolution.
    """

    def __init__(self, in_channels: int, *, stem: "SpectrumStem", channels: Sequence[int]) -> None:
        super().__init__()
        self.stem, self.out_channels = stem, channels[-1]
        widths = [in_channels, *channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(narrow, wide, 3, padding=1, bias=False)
            for narrow, wide in zip(widths[:-1], widths[1:], strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in channels)

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return the positions of the features for inputs of these lengths, one or one a sample."""
        frames = self.stem.output_lengths(lengths)
        for _ in self.convolutions:
            frames = (frames + 1) // 2
        return frames

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Turn waveforms `(B, 1, L)` into features `(B, channels[-1], F)`."""
        padding = as_padding(lengths, x)
        image = self.stem(x, lengths=lengths)[:, None]
        frames = None if padding is None else self.stem.output_lengths(padding.lengths)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            image = relu(norm(convolution(image)))
            if frames is not None:
                image = mask_padding(image.flatten(1, 2), as_padding(frames, image.flatten(1, 2))).view_as(image)
                frames = (frames + 1) // 2
            image = max_pool2d(image, 2, ceil_mode=True)
        return image.mean(dim=2)


class SpectrumStem(StandardizedSpectrum):
    """The log-mel spectrum of `tasks.speech.front_ends.LogMel`, not mixed.

    Args:
        sample_rate: Samples a second; the command takes it from the data.
        num_mels: Mel bands.
        time_mask: As of `LogMel`.
        frequency_mask: As of `LogMel`.
    """

    def __init__(self, sample_rate: int, *, num_mels: int, time_mask: float, frequency_mask: float) -> None:
        spectrum = Spectrum(sample_rate, num_mels=num_mels)
        super().__init__(spectrum, time_mask=time_mask, frequency_mask=frequency_mask)


NETWORKS = {
    "gru": {
        "": "hyperseq.backbones.ResidualStack",
        ".layer": "tasks.learning.peer_layers.GRU",
        ".depth": 2,
        ".d_model": 56,
        ".stem.channels": 56,
    },
    "dilated": {
        "": "benchmarks.series_peers.DilatedStack",
        ".depth": 6,
        ".d_model": 32,
        ".stem.channels": 32,
    },
    "image": {
        "": "benchmarks.speech_peers.SpectrogramImage",
        ".channels": [24, 48, 88, 48],
        ".stem": "benchmarks.speech_peers.SpectrumStem",
        ".stem.num_mels": 40,
        ".stem.time_mask": 0.2,
        ".stem.frequency_mask": 0.2,
    },
}
"""The options of each network below `model.backbone`: within 5% of the parameters of ours."""


def words_of(peer: str, *, seconds: float, seed: int, lr: float) -> list[str]:
    """Return the words of `hyperseq fit` that train a peer."""
    words = timed_words(f"speech/{CONFIGS[peer]}", peer, seconds=seconds, seed=seed, lr=lr)
    return words + [f"--model.backbone{name}={value}" for name, value in NETWORKS[peer].items()]


def main(argv: Sequence[str] | None = None) -> int:
    """Train one peer on FSDD."""
    parser = argparse.ArgumentParser(prog="benchmarks.speech_peers", description=__doc__, allow_abbrev=False)
    parser.add_argument("peer", choices=sorted(NETWORKS), help="the network")
    add_training_options(parser)
    arguments, more = parser.parse_known_args(argv)
    lr = LEARNING_RATES[arguments.peer] if arguments.lr is None else arguments.lr
    return hyperseq([*words_of(arguments.peer, seconds=arguments.seconds, seed=arguments.seed, lr=lr), *more])


if __name__ == "__main__":
    raise SystemExit(main())
