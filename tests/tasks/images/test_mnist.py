import numpy as np
import pytest
import torch

from tasks.images.mnist import MNIST
from tests.tasks.images.archives import TEST, noise, write_mnist


@pytest.fixture
def root(tmp_path):
    write_mnist(tmp_path)
    return tmp_path


def shown(root, **options):
    data = MNIST(root=root, batch_size=TEST, **options)
    data.setup()
    return next(iter(data.test_dataloader()))["x"]


def test_pixels_are_those_of_the_archive_row_by_row(root):
    pixels = torch.from_numpy(noise(TEST, 28, 28, seed=TEST))
    assert torch.equal(shown(root), pixels.reshape(TEST, 1, 784) / 255)
    assert torch.equal(shown(root, num_spatial_dims=2), pixels[:, None] / 255)


def test_a_position_holds_a_patch_of_pixels(root):
    told, plain = shown(root, num_spatial_dims=2, patch_size=2), shown(root, num_spatial_dims=2)
    assert told.shape == (TEST, 4, 14, 14)
    for row, column in ((0, 0), (3, 9), (13, 13)):
        square = plain[:, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert torch.equal(told[:, :, row, column], square.flatten(1))
    data = MNIST(root=root, num_spatial_dims=2, patch_size=2)
    assert (data.in_channels, data.size) == (4, (14, 14))


def test_patches_that_do_not_fit_are_refused(root):
    with pytest.raises(ValueError, match="patch_size must divide the 28 pixels of a side, got 3"):
        MNIST(num_spatial_dims=2, patch_size=3)
    with pytest.raises(ValueError, match=r"patch_size must be 1 for sequences \(num_spatial_dims=1\), got 2"):
        MNIST(patch_size=2)


def test_augmentation_shifts_training_images_alone(root):
    def batches(loader, augment):
        data = MNIST(root=root, num_spatial_dims=2, augment=augment, batch_size=100)
        data.setup()
        return next(iter(getattr(data, f"{loader}_dataloader")()))["x"]

    for split in ("val", "test"):
        assert torch.equal(batches(split, True), batches(split, False))
    plain, told = batches("train", False), batches("train", True)
    padded = np.pad(plain.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="symmetric")
    shifts = set()
    for sample in range(len(plain)):
        windows = {(i, j): padded[sample, :, i : i + 28, j : j + 28] for i in range(5) for j in range(5)}
        shifts |= {place for place, window in windows.items() if np.array_equal(window, told[sample])}
        assert any(np.array_equal(window, told[sample]) for window in windows.values())
    assert len(shifts) > 5


def test_a_permutation_orders_the_pixels(root):
    told, plain = shown(root, permutation="bit_reversal"), shown(root)
    assert torch.equal(told[..., :4], plain[..., [0, 512, 256, 768]])
    assert torch.equal(shown(root, permutation=0)[..., :3], plain[..., [693, 85, 647]])


def test_pixels_are_in_the_unit_interval_or_standardized(root):
    unit = shown(root)
    assert unit.min() == 0 and unit.max() == 1
    torch.testing.assert_close(shown(root, normalization="standardized"), (unit - 0.1307) / 0.3081)


def test_another_normalization_is_refused():
    with pytest.raises(ValueError, match="normalization must be one of unit, standardized, got 's4'"):
        MNIST(normalization="s4")
