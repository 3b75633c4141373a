import pytest
import torch
from matplotlib.image import imread

from tasks.training.plots import LONGEST_LINE
from tasks.training.prediction_plots import BINS, DrawnSequence, _scale_to_bins, plot_scatter, plot_sequences


def drawn(path):
    picture = imread(path)
    return picture.shape[0] > 100 and picture.std() > 0.01


@pytest.mark.parametrize("num_sequences", [1, 4])
def test_sequences_of_any_length_and_many_channels_are_drawn_with_and_without_fast_weights(tmp_path, num_sequences):
    cases = [(1, 1, ()), (3, LONGEST_LINE + 1, ((2, 300), (4, 300))), (40, 7, ((2, 7),)), (2, 5, ())]
    sequences = [
        DrawnSequence(f"{channels}x{length}", torch.randn(channels, length), [torch.randn(shape) for shape in shapes])
        for channels, length, shapes in cases
    ]
    plot_sequences(tmp_path / "s.png", sequences[-num_sequences:], sample_rate=16_000 if num_sequences == 1 else None)
    assert drawn(tmp_path / "s.png")


@pytest.mark.parametrize("length", [1, 3, 499, 500, 501, 1013])
def test_the_strip_shows_mean_magnitudes_at_their_places(length):
    weights = torch.randn(3, length)
    weights[:, length // 2] = -100
    strip = _scale_to_bins(weights)
    assert strip.shape == (BINS,) and strip.max() == 1 and (strip >= 0).all()
    # The bin that holds the largest position.
    assert abs(int(strip.argmax()) - length // 2 * BINS / length) <= 1


def test_weights_of_zero_stay_zero():
    assert not _scale_to_bins(torch.zeros(2, 5)).any()


@pytest.mark.parametrize("num_targets", [1, 2, 7])
def test_numbers_are_drawn_against_their_truth(tmp_path, num_targets):
    targets = torch.randn(9, num_targets)
    names = [f"target_{number}" for number in range(num_targets)]
    plot_scatter(tmp_path / "p.png", targets, targets + 0.1, names=names)
    assert drawn(tmp_path / "p.png")
