import numpy as np
import pytest
import torch
from PIL import Image

from tasks.errors import UserError
from tasks.images.files import read_images


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_one_image_and_keeps_its_pixels(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, channels), dtype=np.uint8)
    Image.fromarray(pixels.squeeze()).save(tmp_path / "a.png")
    ((name, image),) = read_images(tmp_path / "a.png", channels=channels, largest=255).items()
    assert name == str(tmp_path / "a.png")
    assert torch.equal(image, torch.from_numpy(pixels).permute(2, 0, 1).float())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [None, 1, 4])
def test_an_array_holds_one_image_or_several(tmp_path, channels, count):
    shape = (*(() if count is None else (count,)), 3, 3, *((3,) if channels == 3 else ()))
    array = np.arange(np.prod(shape)).reshape(shape)
    path = tmp_path / "a.npy"
    np.save(path, array)
    images = read_images(path, channels=channels, largest=255)
    assert list(images) == ([f"{path}[{number}]" for number in range(count)] if count == 4 else [str(path)])
    for image, wanted in zip(images.values(), array.reshape(-1, 3, 3, channels), strict=True):
        assert image.dtype == torch.float32 and image.shape == (channels, 3, 3)
        for channel in range(channels):
            np.testing.assert_array_equal(image[channel], wanted[..., channel])


@pytest.mark.parametrize(
    ("array", "channels", "told"),
    [
        (np.ones((2, 3)), 1, "images must be as high as wide, got 2x3"),
        (np.ones(4), 1, r"images must have the shape \(H, W\) or \(N, H, W\), got \(4,\)"),
        (np.ones((4, 4)), 3, r"images must have the shape \(H, W, 3\) or \(N, H, W, 3\), got \(4, 4\)"),
        (np.ones((0, 4, 4)), 1, r"got \(0, 4, 4\)"),
        (np.full((2, 2), 256), 1, "pixels must be from 0 to 255, got from 256 to 256"),
        (np.full((2, 2), np.nan), 1, "pixels must be from 0 to 255, got from nan to nan"),
        (np.array([["a"]]), 1, "images must be one array of numbers, got <U1"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, array, channels, told):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=told):
        read_images(tmp_path / "a.npy", channels=channels, largest=255)


@pytest.mark.parametrize("content", [b"a text", b"", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_a_file_that_is_no_array_in_spite_of_its_name_is_told(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    told = "images must be a whole .npy file of numbers, got something else by that name"
    with pytest.raises(UserError, match=f"^{told}$"):
        read_images(tmp_path / "a.npy", channels=1, largest=255)


def test_a_file_of_another_kind_is_told(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((2, 2)))
    with pytest.raises(UserError, match="^images must be a picture or a .npy file, got neither$"):
        read_images(tmp_path / "a.npz", channels=1, largest=255)
