import numpy as np
from PIL import Image

from tasks.images.stl10 import STL10
from tests.tasks.images.archives import TEST, noise, write_stl10

MEAN, STD = np.array([[0.4467, 0.4398, 0.4066], [0.2603, 0.2566, 0.2713]])[..., None, None]


def test_images_are_enlarged_and_normalized_as_published(tmp_path):
    write_stl10(tmp_path)
    data = STL10(root=tmp_path, batch_size=2)
    data.setup()
    told = next(iter(data.test_dataloader()))["x"][1].numpy() * STD + MEAN
    image = Image.fromarray(noise(TEST, 3, 96, 96, seed=TEST)[1].transpose(2, 1, 0).copy())
    expected = np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(255 * told - expected).max() < 1.001
