import pytest
import torch
from matplotlib.image import imread

from tasks.training.plots import plot_confusion_matrix, plot_curves, plot_hyper_kernels


def drawn(path):
    picture = imread(path)
    return picture.shape[0] > 100 and picture.std() > 0.01


@pytest.mark.parametrize("size", [(1,), (64,), (8, 8), (3, 5), (2, 3, 4)])
def test_hyper_kernels_of_any_rank_are_drawn(tmp_path, size):
    plot_hyper_kernels(tmp_path / "k.png", [torch.randn(1, channels, *size) for channels in (1, 3, 20)])
    assert drawn(tmp_path / "k.png")


def test_curves_are_drawn_even_after_one_epoch_and_with_losses_that_are_not_finite(tmp_path):
    row = {"train/cross_entropy": 2.0, "val/cross_entropy": float("inf"), "train/accuracy": 0.5, "lr/weights": 1e-3}
    for epochs in (1, 50):
        rows = [{"epoch": epoch, **row} for epoch in range(1, epochs + 1)]
        plot_curves(tmp_path / "c.png", rows, best_epoch=1, test={"accuracy": 0.5, "cross_entropy": 2.0})
        assert drawn(tmp_path / "c.png")


@pytest.mark.parametrize("num_classes", [2, 35])
def test_a_confusion_matrix_of_any_size_is_drawn(tmp_path, num_classes):
    names = [f"class {number}" for number in range(num_classes)]
    counts = torch.zeros(num_classes, num_classes, dtype=torch.long)
    counts[0, 1] = 3
    plot_confusion_matrix(tmp_path / "m.png", counts, class_names=names)
    assert drawn(tmp_path / "m.png")
