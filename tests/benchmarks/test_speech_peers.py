import pytest
import torch
import yaml

from benchmarks.series_peers import DilatedStack
from benchmarks.speech_peers import (
    CONFIGS,
    LEARNING_RATES,
    NETWORKS,
    SpectrogramImage,
    SpectrumStem,
    words_of,
)
from hyperseq import Terminator
from hyperseq.backbones import ResidualStack
from tasks.learning.peer_layers import GRU
from tasks.speech.front_ends import MFCC, LearnedFilters, LogMel
from tests.tasks.command import ROOT

LONGEST = {"gru": 101, "dilated": 125, "image": 101}
"""Positions behind the stem of a clip of one second."""


def num_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def options_of(peer):
    text = (ROOT / f"configs/speech/{CONFIGS[peer]}.yaml").read_text()
    options = yaml.safe_load(text)["model"]["backbone"]["init_args"]
    return options, options.pop("stem")["init_args"]


def ours(peer):
    options, of_stem = options_of(peer)
    stem = {"gru": MFCC, "dilated": LearnedFilters, "image": LogMel}[peer]
    at_8_khz = {} if stem is LearnedFilters else {"sample_rate": 8000}
    return Terminator(1, 1, size=LONGEST[peer], stem=stem(**at_8_khz, **of_stem), **options)


def image(**masks):
    channels = NETWORKS["image"][".channels"]
    return SpectrogramImage(1, channels=channels, stem=SpectrumStem(8000, num_mels=40, **masks))


def peer_of(peer):
    network, (_, of_stem) = NETWORKS[peer], options_of(peer)
    if peer == "image":
        return image(time_mask=0.2, frequency_mask=0.2)
    of_stem["channels"] = width = network[".d_model"]
    if peer == "gru":
        return ResidualStack(1, layer=GRU, depth=network[".depth"], d_model=width, stem=MFCC(8000, **of_stem))
    return DilatedStack(1, depth=network[".depth"], d_model=width, stem=LearnedFilters(**of_stem))


@pytest.mark.parametrize("peer", sorted(NETWORKS))
def test_a_peer_is_as_large_as_ours(peer):
    assert num_parameters(peer_of(peer)) == pytest.approx(num_parameters(ours(peer)), rel=0.05)


def test_the_dilated_convolutions_see_the_whole_clip():
    assert 2 * (2 ** NETWORKS["dilated"][".depth"] - 1) + 1 >= LONGEST["dilated"]


def test_padding_changes_nothing_in_the_2d_network():
    torch.manual_seed(0)
    network, x = image(time_mask=0.0, frequency_mask=0.0), torch.randn(2, 1, 8000)
    network(x)  # statistics of a training step
    network.eval()
    padded, alone = network(x, lengths=torch.tensor([8000, 4321])), network(x[1:, :, :4321])
    assert network.output_lengths(4321) == alone.shape[-1]
    torch.testing.assert_close(padded[1:, :, : alone.shape[-1]], alone)
    assert not padded[1, :, alone.shape[-1] :].any()


@pytest.mark.parametrize("peer", sorted(NETWORKS))
def test_the_words_name_the_network_the_seconds_and_the_rate(peer):
    words = words_of(peer, seconds=40.0, seed=2, lr=LEARNING_RATES[peer])
    assert words[:3] == ["fit", "--config", f"configs/speech/{CONFIGS[peer]}.yaml"]
    assert f"--model.backbone={NETWORKS[peer]['']}" in words and "--trainer.callbacks.seconds=40.0" in words
    assert f"--model.lr={LEARNING_RATES[peer]}" in words and "--seed_everything=2" in words
