import math

import pytest
import torch

from hyperseq import Terminator
from tasks.errors import UserError
from tasks.speech._torchaudio import import_torchaudio
from tasks.speech.front_ends import MFCC, FeatureStandardization, LearnedFilters, LogMel, Spectrum, mask_at_random

STEMS = {
    "learned": lambda: LearnedFilters(5, strides=(3, 2)),
    "learned, one layer": lambda: LearnedFilters(5, strides=(7,), taps_per_stride=1),
    "log-mel": lambda: LogMel(1000, 5, num_mels=6),
    "MFCC": lambda: MFCC(1000, 5, num_coefficients=3, num_mels=6, window=0.021, hop=0.007),
}


@pytest.fixture(params=STEMS)
def stem(request):
    module = STEMS[request.param]()
    module.train()(torch.randn(4, 1, 97))
    return module.eval().double()


def test_a_sample_alone_is_as_in_a_batch_beside_longer_ones(stem):
    lengths = torch.tensor([97, 1, 40, 13, 2])
    x = torch.randn(5, 1, 97, dtype=torch.float64)
    together = stem(x, lengths=lengths)
    for sample, length in enumerate(lengths.tolist()):
        alone = stem(x[sample : sample + 1, :, :length])
        assert alone.shape[-1] == stem.output_lengths(length)
        torch.testing.assert_close(together[sample : sample + 1, :, : alone.shape[-1]], alone, rtol=1e-10, atol=1e-10)
        assert not together[sample, :, alone.shape[-1] :].any()


def test_padding_has_no_effect_on_values_and_gradients(stem):
    lengths = torch.tensor([31, 97])
    x = torch.randn(2, 1, 97, dtype=torch.float64)
    other = x.clone()
    other[0, :, 31:] = torch.nan

    def run(x):
        x.requires_grad_(True)
        stem.zero_grad()
        stem(x, lengths=lengths).square().sum().backward()
        return [x.grad[0, :, :31], x.grad[1], *(parameter.grad.clone() for parameter in stem.parameters())]

    for found, wanted in zip(run(other), run(x), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def test_output_lengths_take_one_length_or_one_a_sample(stem):
    lengths = torch.arange(1, 97)
    assert stem.output_lengths(lengths).tolist() == [stem.output_lengths(length) for length in lengths.tolist()]
    assert stem(torch.randn(1, 1, 96, dtype=torch.float64)).shape[-1] == stem.output_lengths(96)


@pytest.mark.parametrize(("rate", "samples"), [(2.0, 200), (4.0, 100), (0.5, 800), (4 / 3, 300)])
def test_filters_of_another_rate_see_the_same_band_limited_signal_as_in_training(rate, samples):
    filters = LearnedFilters(5, strides=(4, 3)).double().eval()
    filters.train()(torch.randn(2, 1, 97, dtype=torch.float64))
    filters.eval()

    def signal(step, count):
        time = step * torch.arange(count, dtype=torch.float64)
        return sum((0.1 * cycles * time + cycles).sin() for cycles in (0.5, 1.7, 3.0))[None, None]

    wanted, found = filters(signal(1.0, 400)), filters(signal(rate, samples), rate=rate)
    assert found.shape == wanted.shape == (1, 5, filters.output_lengths(samples, rate))
    # Beyond both ends there are zeros, which no band-limited signal has.
    inner, difference = wanted[..., 4:-4], (found - wanted)[..., 4:-4]
    assert difference.norm() < 4e-3 * inner.norm()
    padded = torch.nn.functional.pad(signal(rate, samples), (0, 50), value=torch.nan)
    found_in_padding = filters(padded, lengths=torch.tensor([samples]), rate=rate)[..., : found.shape[-1]]
    torch.testing.assert_close(found_in_padding, found, rtol=1e-10, atol=1e-10)


def test_a_rate_that_no_whole_number_of_samples_fits_is_refused():
    filters = LearnedFilters(5, strides=(4, 3))
    for rate in (3.0, 0.0, 1.1):
        message = f"rate must divide the first of strides, 4, into a whole number of samples, got {rate}"
        with pytest.raises(UserError, match=message):
            filters(torch.randn(1, 1, 50), rate=rate)


def loop_spectrum(x, *, rate, num_mels, frame, hop, num_coefficients):
    """Compute log-mel or MFCC of one waveform `(L,)` by sums over samples, frequencies and bands."""
    functional = import_torchaudio().functional
    reach, last = frame // 2, len(x) - 1
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / frame) for n in range(frame)]
    filters = functional.melscale_fbanks(frame // 2 + 1, 0.0, rate / 2, num_mels, rate)
    rows = []
    for center in range(0, len(x) + 1, hop):
        samples = []
        for n in range(frame):
            place = abs(center - reach + n) % (2 * last)
            samples.append(hann[n] * x[min(place, 2 * last - place)].item())
        power = []
        for k in range(frame // 2 + 1):
            angles = [2 * math.pi * k * n / frame for n in range(frame)]
            real = sum(s * math.cos(a) for s, a in zip(samples, angles, strict=True))
            imaginary = sum(s * math.sin(a) for s, a in zip(samples, angles, strict=True))
            power.append(real**2 + imaginary**2)
        bands = [math.log(1e-6 + sum(p * f for p, f in zip(power, filters[:, m].tolist(), strict=True)))
                 for m in range(num_mels)]  # fmt: skip
        if num_coefficients:
            scale = [math.sqrt((1 if k == 0 else 2) / num_mels) for k in range(num_coefficients)]
            bands = [scale[k] * sum(b * math.cos(math.pi * k * (m + 0.5) / num_mels) for m, b in enumerate(bands))
                     for k in range(num_coefficients)]  # fmt: skip
        rows.append(bands)
    return torch.tensor(rows, dtype=torch.float64).mT


@pytest.mark.parametrize("num_coefficients", [None, 4])
@pytest.mark.parametrize("frame", [20, 21])
def test_the_spectrum_is_that_of_the_loops(num_coefficients, frame):
    spectrum = Spectrum(
        1000, num_mels=5, window=frame / 1000, hop=0.007, num_coefficients=num_coefficients
    ).double()  # fmt: skip
    x = torch.randn(2, 2, 50, dtype=torch.float64)
    told = spectrum(x)
    options = {"rate": 1000, "num_mels": 5, "frame": frame, "hop": 7, "num_coefficients": num_coefficients}
    for sample in range(2):
        wanted = torch.cat([loop_spectrum(x[sample, channel], **options) for channel in range(2)])
        torch.testing.assert_close(told[sample], wanted, rtol=1e-5, atol=1e-5)


def test_the_published_mfcc_is_that_of_torchaudio():
    x = torch.randn(2, 1, 16000)
    told = Spectrum(16000, num_mels=64, window=0.0125, hop=0.00625, num_coefficients=20)(x)
    options = {"n_fft": 200, "hop_length": 100, "n_mels": 64}
    with pytest.warns(UserWarning, match="At least one mel filterbank"):
        reference = import_torchaudio().transforms.MFCC(16000, 20, log_mels=True, melkwargs=options)
    torch.testing.assert_close(told, reference(x)[:, 0])
    assert told.shape == (2, 20, 161)


def test_features_are_standardized_by_all_positions_of_the_training():
    standardization = FeatureStandardization(3)
    batches = [3 + 2 * torch.randn(4, 3, 11), torch.randn(2, 3, 7)]
    lengths = torch.tensor([11, 1, 5, 3])
    standardization(batches[0], lengths=lengths)
    standardization(batches[1])
    pieces = [x[:, :length] for x, length in zip(batches[0], lengths.tolist(), strict=True)]
    seen = torch.cat([*pieces, *batches[1]], dim=1).double()
    std, mean = torch.std_mean(seen, dim=1, correction=0, keepdim=True)
    standardization.eval()
    x = torch.randn(1, 3, 5)
    torch.testing.assert_close(standardization(x), ((x - mean) / (std.square() + 1e-5).sqrt()).float())
    before = standardization.state_dict()
    standardization(x)
    assert all(torch.equal(value, before[name]) for name, value in standardization.state_dict().items())


def test_statistics_travel_in_the_state():
    trained, fresh = LogMel(1000, 4, num_mels=5), LogMel(1000, 4, num_mels=5)
    trained(torch.randn(3, 1, 200))
    fresh.load_state_dict(trained.state_dict())
    x = torch.randn(2, 1, 90)
    assert torch.equal(fresh.eval()(x), trained.eval()(x))


def test_masks_lie_within_each_sample_and_are_drawn_anew():
    x, lengths = torch.ones(50, 20, 30), torch.arange(50) % 21 + 10
    told = mask_at_random(x, lengths, time=0.5, frequency=0.3)
    times, bands = (told == 0).all(dim=1), (told == 0).all(dim=2)
    assert (times.sum(dim=1) <= lengths // 2).all() and times.any() and bands.any()
    assert (bands.sum(dim=1) <= 6).all()
    assert not (times & (torch.arange(30) >= lengths[:, None])).any()
    assert not torch.equal(told, mask_at_random(x, lengths, time=0.5, frequency=0.3))
    stem = LogMel(1000, 4, num_mels=5, time_mask=0.5)
    x = torch.randn(2, 1, 300)
    assert not torch.equal(stem(x), stem(x))
    assert torch.equal(stem.eval()(x), stem(x))


def test_a_front_end_is_exported_for_any_lengths(stem):
    stem.float()
    x, lengths = torch.randn(3, 1, 97), torch.tensor([97, 50, 3])
    exported = torch.export.export(stem, (x,), {"lengths": lengths}).module()
    torch.testing.assert_close(exported(x, lengths=lengths), stem(x, lengths=lengths))
    others = torch.tensor([5, 97, 97])
    torch.testing.assert_close(exported(x, lengths=others), stem(x, lengths=others))


def test_a_network_takes_lengths_of_the_waveform():
    network = Terminator(1, 1, size=97, channels=[5, 6], stem=LogMel(1000, 5, num_mels=6)).eval()
    x, lengths = torch.randn(2, 1, 97), torch.tensor([97, 31])
    features = network(x, lengths=lengths)
    assert features.shape == (2, 6, 10)
    torch.testing.assert_close(features[1:, :, :4], network(x[1:, :, :31]))


def test_options_out_of_range_are_named():
    for build, message in [
        (lambda: LearnedFilters(4, strides=()), r"strides must hold at least one positive integer, got \[\]"),
        (lambda: LearnedFilters(0), "channels must be at least 1, got 0"),
        (lambda: LogMel(8000, 4, time_mask=1.0), r"time_mask must lie in \[0, 1\), got 1.0"),
        (lambda: LogMel(10, 4), "window and hop must hold 2 samples and 1 at 10 Hz, got 0.025 and 0.01"),
        (lambda: MFCC(8000, 4, num_coefficients=65), r"num_coefficients must lie in 1\.\.num_mels = 64, got 65"),
    ]:
        with pytest.raises(UserError, match=message):
            build()


@pytest.mark.parametrize("name", ["log-mel", "MFCC"])
def test_spectra_and_their_statistics_keep_their_digits_in_half_precision(name):
    truth, half = STEMS[name](), STEMS[name]()
    half.load_state_dict(truth.state_dict())
    half.to(torch.bfloat16)
    x = torch.randn(4, 1, 97).bfloat16()
    for _ in range(300):
        half(x)
    assert half.standardization.count == 300 * 4 * truth.output_lengths(97)
    spectrum = truth.spectrum(x.float())
    torch.testing.assert_close(half.spectrum(x), spectrum)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(truth.spectrum(x.float()), spectrum)
    assert half(x).dtype == torch.bfloat16
