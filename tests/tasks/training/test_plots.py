import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread

from tasks.training.plots import choose_log_ticks, plot_confusion_matrix, plot_curves, plot_hyper_kernels


def drawn(path):
    picture = imread(path)
    return picture.shape[0] > 100 and picture.std() > 0.01


@pytest.mark.parametrize("size", [(1,), (64,), (1001,), (16000,), (8, 8), (3, 5), (2, 3, 4)])
def test_hyper_kernels_of_any_rank_are_drawn(tmp_path, size):
    plot_hyper_kernels(tmp_path / "k.png", [torch.randn(1, channels, *size) for channels in (1, 3, 20)])
    assert drawn(tmp_path / "k.png")


def test_curves_are_drawn_even_after_one_epoch_and_with_losses_that_are_not_finite(tmp_path):
    row = {"train/cross_entropy": 2.0, "val/cross_entropy": float("inf"), "train/accuracy": 0.5, "lr/weights": 1e-3}
    for epochs in (1, 50):
        rows = [{"epoch": epoch, **row} for epoch in range(1, epochs + 1)]
        for metrics in ({"accuracy": 0.5, "cross_entropy": 2.0}, {}):
            plot_curves(tmp_path / "c.png", rows, metrics=list(metrics), best_epoch=1, test=metrics)
            assert drawn(tmp_path / "c.png")
        plot_curves(tmp_path / "c.png", rows, metrics=["accuracy"], best_epoch=None, test=None)
        assert drawn(tmp_path / "c.png")


@pytest.mark.parametrize("num_classes", [2, 35, 51, 200])
def test_a_confusion_matrix_of_any_size_is_drawn(tmp_path, num_classes):
    names = [f"class {number}" for number in range(num_classes)]
    counts = torch.zeros(num_classes, num_classes, dtype=torch.long)
    counts[0, 1] = 3
    plot_confusion_matrix(tmp_path / "m.png", counts, class_names=names)
    assert drawn(tmp_path / "m.png")


@pytest.mark.parametrize(("low", "high"), [(0.01, 3), (0.8, 6), (0.91, 1.12), (2.30, 2.31), (1e-4, 50), (0.1, 10)])
def test_a_logarithmic_axis_has_three_to_eight_labels(low, high):
    ticks = choose_log_ticks(low, high)
    assert 3 <= len(ticks) <= 8 and low <= min(ticks) and max(ticks) <= high


def test_the_legend_stands_outside_the_panels_that_the_best_epoch_crosses(tmp_path, monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **o: figures.append(figure) or save(figure, *a, **o))
    row = {"train/cross_entropy": 2.0, "val/cross_entropy": 1.0, "train/accuracy": 0.5, "lr/weights": 1e-3}
    rows = [{"epoch": epoch, **row} for epoch in range(1, 5)]
    test = {"accuracy": 0.5, "cross_entropy": 2.0}
    plot_curves(tmp_path / "c.png", rows, metrics=list(test), best_epoch=2, test=test)
    (figure,) = figures
    (legend,) = figure.legends
    for axes in figure.axes[:2]:
        assert axes.get_legend() is None
        assert legend.get_window_extent().y1 <= axes.get_window_extent().y0


def test_of_many_classes_the_pairs_confused_most_often_are_drawn(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *arguments, **options: figures.append(figure))
    counts = torch.diag(torch.full((60,), 9))
    counts[3, 4], counts[7, 1] = 5, 8
    plot_confusion_matrix(tmp_path / "m.png", counts, class_names=[f"c{number}" for number in range(60)])
    assert [label.get_text() for label in figures[0].axes[0].get_yticklabels()] == ["c7 as c1", "c3 as c4"]
