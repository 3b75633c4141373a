from functools import partial

import numpy as np
import pytest

from tasks.images.published.labelled_images import LabelledImages, concatenate, label_images
from tests.tasks.images.archives import noise


def test_concatenated_splits_keep_their_order():
    first, second = (LabelledImages(noise(n, 1, 2, 2, seed=n), np.arange(n)) for n in (3, 2))
    told = concatenate([first, second])
    assert np.array_equal(told.pixels[:3], first.pixels) and np.array_equal(told.pixels[3:], second.pixels)
    assert told.labels.tolist() == [0, 1, 2, 0, 1]


def test_what_is_no_labelled_image_is_refused():
    check = partial(label_images, num_classes=10, source="a.bin")
    pixels = noise(3, 1, 2, 2)
    with pytest.raises(ValueError, match=r"a.bin must hold images as bytes \(N, C, H, W\), got float32 of shape \(3"):
        check(pixels.astype(np.float32), np.array([1, 2, 3]))
    with pytest.raises(ValueError, match=r"a.bin must hold images as bytes .*, got uint8 of shape \(3, 2, 2\)"):
        check(pixels[:, 0], np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="a.bin must hold one label an image, got 3 images and 2 labels"):
        check(pixels, np.array([1, 2]))
    with pytest.raises(ValueError, match="a.bin must hold labels of 10 classes, got labels from -1 to 3"):
        check(pixels, np.array([1, -1, 3]))
    assert check(pixels, np.array([1, 2, 3], dtype=np.uint8)).labels.dtype == np.int64
