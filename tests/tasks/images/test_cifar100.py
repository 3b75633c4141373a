import numpy as np
import torch

from tasks.images.cifar100 import CIFAR100
from tests.tasks.images.archives import TEST, noise, write_cifar100


def test_pixels_are_normalized_as_published(tmp_path):
    write_cifar100(tmp_path)
    data = CIFAR100(root=tmp_path, batch_size=TEST)
    data.setup()
    pixels = noise(TEST, 3, 32, 32, seed=TEST) / 255
    mean, std = np.array([[0.5071, 0.4867, 0.4408], [0.2675, 0.2565, 0.2761]])[..., None, None]
    told = next(iter(data.test_dataloader()))["x"]
    torch.testing.assert_close(told, torch.from_numpy((pixels - mean) / std).float())


def test_classes_are_named_in_the_order_of_their_labels():
    names = CIFAR100.class_names
    assert len(names) == 100 and list(names) == sorted(names)
    assert (names[0], names[8], names[19], names[99]) == ("apple", "bicycle", "cattle", "worm")
