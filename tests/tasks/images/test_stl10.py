import numpy as np
import pytest
from PIL import Image

from tasks.images.stl10 import STL10, read_stl10
from tests.tasks.images.archives import TEST, TRAIN, noise, write_stl10, write_tar

MEAN, DEVIATION = np.array([[0.4467, 0.4398, 0.4066], [0.2603, 0.2566, 0.2713]])[..., None, None]


def test_images_lie_column_by_column_and_classes_count_from_one(tmp_path):
    write_stl10(tmp_path)
    train, test = read_stl10(tmp_path)
    content = noise(TEST, 3, 96, 96, seed=TEST)
    for row, column in ((0, 0), (5, 90), (95, 3)):
        assert np.array_equal(test.pixels[:, :, row, column], content[:, :, column, row])
    assert train.labels.tolist() == [i % 10 for i in range(TRAIN)]


def test_images_are_enlarged_and_normalised_as_published(tmp_path):
    write_stl10(tmp_path)
    data = STL10(root=tmp_path, batch_size=2)
    data.setup()
    told = next(iter(data.test_dataloader()))["x"][1].numpy() * DEVIATION + MEAN
    image = Image.fromarray(noise(TEST, 3, 96, 96, seed=TEST)[1].transpose(2, 1, 0).copy())
    expected = np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(255 * told - expected).max() < 1.001


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
