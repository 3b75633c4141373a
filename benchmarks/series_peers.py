"""What a user might train instead of the networks of `configs/series`: a GRU or dilated convolutions, equally large.

``python -m benchmarks.series_peers gru acsf1 --seconds 400`` trains by `hyperseq fit` and the config of the data set,
with another network in the place of ours, behind the same stem. The seconds are CPU seconds: those that ours took.
Further words go to `hyperseq fit`. `benchmarks/series_rocket.py` has what needs no training of a network.
"""

import argparse
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import gelu

from hyperseq.backbones import ResidualStack
from tasks.cli import main as hyperseq

SIZES = {
    "gru": {"acsf1": (2, 56), "pigcvp": (2, 56), "plaid": (2, 56), "japanese_vowels": (2, 32)},
    "dilated": {"acsf1": (8, 32), "pigcvp": (8, 32), "plaid": (8, 32), "japanese_vowels": (4, 26)},
}
"""Depth and width of each: within 5% of the parameters of ours, and dilated convolutions see the whole sequence."""

LEARNING_RATES = {"gru": 3e-3, "dilated": 1e-2}
"""Chosen on a quarter of the training splits of PLAID and ACSF1; docs/your-data.md has the trials."""

WITHOUT_STEM = ("japanese_vowels",)
"""Data sets whose sequences are short enough to be read as they are."""


class DilatedConvolution(nn.Module):
    """Three taps, `dilation` positions apart, and a GELU.

    Args:
        d_model: Width.
        dilation: Positions from one tap to the next.
    """

    def __init__(self, d_model: int, *, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(d_model, d_model, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Convolve `(B, L, D)`; padding is zero, as are the positions beyond the ends, so `lengths` change nothing."""
        return gelu(self.convolution(x.mT)).mT


class DilatedStack(ResidualStack):
    """A residual stack of dilated convolutions, the taps 1, 2, 4, ... positions apart.

    Args:
        in_channels: Channels of the input.
        depth: Number of layers.
        d_model: Width.
        stem: As of `ResidualStack`.
    """

    def __init__(self, in_channels: int, *, depth: int, d_model: int, stem: nn.Module | None = None) -> None:
        dilations = iter([2**layer for layer in range(depth)])
        super().__init__(
            in_channels,
            layer=lambda width: DilatedConvolution(width, dilation=next(dilations)),
            depth=depth,
            d_model=d_model,
            stem=stem,
        )


def name_run(config: str, part: str, *, seed: int) -> str:
    """Return the name of a timed run: that of its config, of what is special about it, and its seed."""
    return f"{config.split('/')[1]}-{part}-s{seed}"


def timed_words(config: str, part: str, *, seconds: float, seed: int, lr: float) -> list[str]:
    """Return the words of `hyperseq fit` that train by a config, such as `series/plaid`, for some CPU seconds."""
    words = ["fit", "--config", f"configs/{config}.yaml", f"--seed_everything={seed}"]
    words += [f"--run.name={name_run(config, part, seed=seed)}", f"--model.lr={lr}", "--trainer.max_epochs=1000000"]
    words += ["--trainer.callbacks+=tasks.training.callbacks.time_budget.TimeBudget"]
    return words + [f"--trainer.callbacks.seconds={seconds}"]


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the seconds, the seed and the learning rate of a timed training."""
    parser.add_argument("--seconds", type=float, required=True, help="CPU seconds of training, without validation")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and order of batches")
    parser.add_argument("--lr", type=float, help="peak learning rate")


def words_of(peer: str, data_set: str, *, seconds: float, seed: int, lr: float) -> list[str]:
    """Return the words of `hyperseq fit` that train a peer."""
    depth, width = SIZES[peer][data_set]
    backbone = "--model.backbone"
    network = {"gru": "hyperseq.backbones.ResidualStack", "dilated": "benchmarks.series_peers.DilatedStack"}[peer]
    words = timed_words(f"series/{data_set}", peer, seconds=seconds, seed=seed, lr=lr)
    words += [f"{backbone}={network}", f"{backbone}.depth={depth}", f"{backbone}.d_model={width}"]
    if peer == "gru":
        words += [f"{backbone}.layer=tasks.learning.peer_layers.GRU"]
    if data_set not in WITHOUT_STEM:
        words += [f"{backbone}.stem.channels={width}"]
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Train one peer on one data set."""
    parser = argparse.ArgumentParser(prog="benchmarks.series_peers", description=__doc__, allow_abbrev=False)
    parser.add_argument("peer", choices=sorted(SIZES), help="the network")
    parser.add_argument("data_set", choices=sorted(SIZES["gru"]), help="the config in configs/series")
    add_training_options(parser)
    arguments, more = parser.parse_known_args(argv)
    lr = LEARNING_RATES[arguments.peer] if arguments.lr is None else arguments.lr
    words = words_of(arguments.peer, arguments.data_set, seconds=arguments.seconds, seed=arguments.seed, lr=lr)
    return hyperseq([*words, *more])


if __name__ == "__main__":
    raise SystemExit(main())
