import numpy as np
import pytest
import torch
from PIL import Image

from tasks.images import cifar10
from tasks.images.cifar10 import CIFAR10, read_gray
from tasks.images.published.labelled_images import LabelledImages
from tests.tasks.images.archives import TEST, noise, write_cifar10


@pytest.fixture
def root(tmp_path):
    write_cifar10(tmp_path)
    return tmp_path


def shown(root, **options):
    data = CIFAR10(root=root, batch_size=TEST, **options)
    data.setup()
    return next(iter(data.test_dataloader()))["x"]


@pytest.mark.parametrize(
    ("normalization", "mean", "std"),
    [
        ("s4", (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
        ("multiresconv", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        ("ckconv", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_pixels_are_those_of_the_archive_in_a_published_normalization(root, normalization, mean, std):
    pixels = noise(TEST, 3, 1024, seed=5) / 255
    expected = (pixels - np.array(mean)[:, None]) / np.array(std)[:, None]
    told = shown(root, normalization=normalization)
    torch.testing.assert_close(told, torch.from_numpy(expected).float())
    images = shown(root, normalization=normalization, num_spatial_dims=2)
    assert torch.equal(images.flatten(2), told)


def test_a_permutation_orders_the_pixels(root):
    told, plain = shown(root, permutation="bit_reversal"), shown(root)
    assert torch.equal(told[..., :4], plain[..., [0, 512, 256, 768]])


def test_training_batches_come_in_the_order_of_their_numbers(root):
    data = CIFAR10(root=root, batch_size=40, select_on_test=True)
    data.setup()
    told = data.splits["train"].x.flatten(1)
    expected = np.concatenate([noise(8, 3072, seed=number) for number in range(5)])
    assert np.array_equal(told, expected)


def test_gray_is_that_of_pillow(monkeypatch, tmp_path):
    levels = torch.arange(0, 256, 3)
    colors = torch.cartesian_prod(levels, levels, levels).to(torch.uint8).numpy()
    images = LabelledImages(colors.T[None, :, None], np.zeros(1, np.int64))
    monkeypatch.setattr(cifar10, "read_cifar10", lambda root: (images, images))
    expected = np.asarray(Image.fromarray(colors[None]).convert("L"))
    for told in read_gray(tmp_path):
        assert told.pixels.dtype == np.uint8 and np.array_equal(told.pixels[0, 0], expected)


def test_the_image_task_of_lra_is_gray(root):
    pixels = noise(TEST, 3072, seed=5).reshape(TEST, 3, 1024).swapaxes(1, 2)
    gray = torch.from_numpy(np.array([Image.fromarray(rows[None]).convert("L") for rows in pixels]))
    expected = (gray - 122.6) / 61.0
    told = shown(root, grayscale=True)
    assert told.shape == (TEST, 1, 1024)
    torch.testing.assert_close(told, expected)


def test_another_normalization_is_refused():
    with pytest.raises(ValueError, match="normalization must be one of s4, multiresconv, ckconv, got 'unit'"):
        CIFAR10(normalization="unit")
    with pytest.raises(ValueError, match="normalization must be one of s4, got 'ckconv'"):
        CIFAR10(normalization="ckconv", grayscale=True)
