import numpy as np
import pytest

from tasks.images.published.stl10 import read_stl10
from tests.tasks.images.archives import TEST, TRAIN, noise, write_stl10, write_tar


def test_images_lie_column_by_column_and_classes_count_from_one(tmp_path):
    write_stl10(tmp_path)
    train, test = read_stl10(tmp_path)
    content = noise(TEST, 3, 96, 96, seed=TEST)
    for row, column in ((0, 0), (5, 90), (95, 3)):
        assert np.array_equal(test.pixels[:, :, row, column], content[:, :, column, row])
    assert train.labels.tolist() == [i % 10 for i in range(TRAIN)]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"train_X": bytes(27647)}, "train_X.bin must hold 27648 bytes an image, got 27647 bytes, 1 labels"),
        ({"train_X": b""}, "train_X.bin must hold 27648 bytes an image, got 0 bytes, 1 labels"),
        ({"test_y": b""}, "test_X.bin must hold 27648 bytes an image, got 27648 bytes, 0 labels"),
        ({"test_y": b"\x01\x02"}, "test_X.bin must hold one label an image, got 1 images and 2 labels"),
        ({"test_y": b"\x00"}, "test_X.bin must hold labels of 10 classes, got labels from -1 to -1"),
        ({"test_y": b"\x0b"}, "test_X.bin must hold labels of 10 classes, got labels from 10 to 10"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changes, fault):
    good = {"train_X": bytes(27648), "train_y": b"\x01", "test_X": bytes(27648), "test_y": b"\x0a"}
    members = {f"stl10_binary/{name}.bin": content for name, content in (good | changes).items()}
    write_tar(tmp_path / "stl10/stl10_binary.tar.gz", members)
    with pytest.raises(ValueError, match=f"stl10_binary.tar.gz/stl10_binary/{fault}"):
        read_stl10(tmp_path)
