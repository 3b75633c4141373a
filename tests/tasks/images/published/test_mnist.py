import numpy as np
import pytest

from tasks.images.published.mnist import read_mnist
from tests.tasks.images.archives import TEST, noise, write_idx, write_mnist


@pytest.fixture
def root(tmp_path):
    write_mnist(tmp_path)
    return tmp_path


def test_images_of_another_size_are_refused(root):
    path = root / "mnist/t10k-images-idx3-ubyte.gz"
    write_idx(path, noise(TEST, 28, 20))
    with pytest.raises(ValueError, match=f"{path} must hold images of 28x28 pixels, got 28x20"):
        read_mnist(root)


def test_a_missing_label_is_found(root):
    path = root / "mnist/train-labels-idx1-ubyte.gz"
    write_idx(path, np.zeros(39, dtype=np.uint8))
    with pytest.raises(ValueError, match=f"{path} must hold one label an image, got 40 images and 39 labels"):
        read_mnist(root)
