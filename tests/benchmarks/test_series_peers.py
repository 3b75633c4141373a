import pytest
import torch
import yaml

from benchmarks.series_peers import SIZES, WITHOUT_STEM, DilatedStack, words_of
from hyperseq import SequenceMixer, Terminator
from hyperseq.backbones import ResidualStack
from tasks.learning.peer_layers import GRU
from tasks.speech.front_ends import LearnedFilters
from tests.tasks.command import ROOT

LONGEST = {"acsf1": 365, "pigcvp": 500, "plaid": 336, "japanese_vowels": 29}
"""Positions behind the stem."""


def num_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def ours(data_set):
    options = yaml.safe_load((ROOT / f"configs/series/{data_set}.yaml").read_text())["model"]["backbone"]["init_args"]
    if data_set in WITHOUT_STEM:
        return Terminator(1, 12, size=26, **options)
    layer, stem = options.pop("layer")["init_args"], LearnedFilters(**options.pop("stem")["init_args"])
    return ResidualStack(1, layer=lambda width: SequenceMixer(width, **layer), stem=stem, **options)


def peer_of(peer, data_set):
    depth, width = SIZES[peer][data_set]
    bare = data_set in WITHOUT_STEM
    stem = None if bare else LearnedFilters(width, strides=[4], taps_per_stride=2)
    options = {"depth": depth, "d_model": width, "stem": stem}
    in_channels = 12 if bare else 1
    return ResidualStack(in_channels, layer=GRU, **options) if peer == "gru" else DilatedStack(in_channels, **options)


@pytest.mark.parametrize("data_set", sorted(LONGEST))
def test_a_peer_is_as_large_as_ours_and_convolutions_see_the_whole_sequence(data_set):
    for peer in SIZES:
        assert num_parameters(peer_of(peer, data_set)) == pytest.approx(num_parameters(ours(data_set)), rel=0.05)
    depth, _ = SIZES["dilated"][data_set]
    assert 2 * (2**depth - 1) + 1 >= LONGEST[data_set]


def test_padding_changes_nothing_in_dilated_convolutions():
    torch.manual_seed(0)
    stack, x = DilatedStack(2, depth=3, d_model=4).eval(), torch.randn(2, 2, 20)
    padded, alone = stack(x, lengths=torch.tensor([20, 9])), stack(x[1:, :, :9])
    torch.testing.assert_close(padded[1:, :, :9], alone)
    assert not padded[1, :, 9:].any()


def test_the_words_name_the_network_the_seconds_and_the_rate():
    words = words_of("gru", "acsf1", seconds=40.0, seed=2, lr=1e-3)
    assert words[:3] == ["fit", "--config", "configs/series/acsf1.yaml"] and "--model.lr=0.001" in words
    assert "--trainer.callbacks.seconds=40.0" in words and "--model.backbone.stem.channels=56" in words
    assert not any("stem" in word for word in words_of("dilated", "japanese_vowels", seconds=1.0, seed=0, lr=1e-3))
