import numpy as np
import pytest
import torch

from tasks.errors import UserError
from tasks.speech.waveform_augmentation import (
    NUM_DRAWS,
    WaveformAugmentation,
    add_noise,
    change_speed,
    shift_in_time,
)
from tests.tasks.speech.recordings import tone, write

CLIP = torch.from_numpy(tone(100, seconds=0.2, channels=2)).mT


def test_a_shift_moves_samples_and_keeps_the_length():
    for steps in (-1600, -7, 0, 3, 5000):
        told = shift_in_time(CLIP, steps)
        wanted = torch.zeros_like(CLIP)
        for place in range(CLIP.shape[1]):
            if 0 <= place - steps < CLIP.shape[1]:
                wanted[:, place] = CLIP[:, place - steps]
        assert torch.equal(told, wanted)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.25])
def test_another_speed_shifts_the_pitch(factor):
    told = change_speed(CLIP, factor)
    assert told.shape == (2, round(1600 / factor))
    spectrum = torch.fft.rfft(told[0] * torch.hann_window(told.shape[1]), n=8000).abs()
    assert int(spectrum.argmax()) == pytest.approx(100 * factor, abs=1)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 13.0])
def test_noise_has_the_ratio_that_is_asked_for(snr):
    noise = torch.randn(1600)
    added = add_noise(CLIP, noise, snr=snr) - CLIP
    ratio = 10 * torch.log10(CLIP.square().mean() / added.square().mean())
    assert ratio.item() == pytest.approx(snr, abs=1e-3)
    assert torch.equal(add_noise(CLIP, torch.zeros(1600), snr=snr), CLIP)


def test_the_draws_alone_decide(tmp_path):
    write(tmp_path / "noise/a.wav", np.random.default_rng(0).normal(size=(900, 1)) / 9, rate=4000)
    augmentation = WaveformAugmentation(speed=0.1, shift=0.05, gain=6.0, noise=tmp_path / "noise")
    noises = augmentation.read_noises(8000)
    assert [len(noise) for noise in noises] == [1800]

    def change(draws):
        return augmentation(CLIP, draws, rate=8000, noises=noises)

    draws = torch.rand(NUM_DRAWS)
    assert torch.equal(change(draws), change(draws))
    assert not torch.equal(change(draws), change(1 - draws))
    # Draws of one half change nothing but the noise.
    plain = WaveformAugmentation(speed=0.1, shift=0.05, gain=6.0)
    assert torch.equal(plain(CLIP, torch.full((NUM_DRAWS,), 0.5), rate=8000, noises=[]), CLIP)


def test_the_gain_is_in_decibels():
    draws = torch.tensor([0.5, 0.5, 1.0, 0.5, 0.5, 0.5])
    told = WaveformAugmentation(gain=20.0)(CLIP, draws, rate=8000, noises=[])
    torch.testing.assert_close(told, 10 * CLIP)


def test_options_out_of_range_are_named(tmp_path):
    for options, message in [
        ({"speed": 1.0}, r"speed must lie in \[0, 1\), got 1.0"),
        ({"shift": -0.1}, "shift must be at least 0, got -0.1"),
        ({"gain": -1.0}, "gain must be at least 0, got -1.0"),
        ({"snr": (20.0, 5.0)}, r"snr must be the lowest, then the highest ratio in dB, got \(20.0, 5.0\)"),
    ]:
        with pytest.raises(UserError, match=message):
            WaveformAugmentation(**options)
    with pytest.raises(UserError, match=f"noise must be a folder with audio files, got {tmp_path}"):
        WaveformAugmentation(noise=tmp_path).read_noises(8000)
