import pytest
import torch

from tasks.images.augmentation import resize
from tasks.images.inputs import Inputs, Normalization, compute_input_size
from tasks.images.permutations import reading_order
from tests.tasks.images.archives import noise

PIXELS = torch.from_numpy(noise(2, 3, 4, 4))
NORMALIZATION = Normalization(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


def test_each_channel_is_normalized_by_its_own_numbers():
    told = Inputs(4, NORMALIZATION, num_spatial_dims=2)(PIXELS)
    assert told.dtype == torch.float32 and told.shape == PIXELS.shape
    for channel, (mean, std) in enumerate(zip(*NORMALIZATION, strict=True)):
        expected = (PIXELS[:, channel].double() / 255 - mean) / std
        torch.testing.assert_close(told[:, channel].double(), expected, rtol=1e-6, atol=1e-6)


def test_a_sequence_is_the_image_row_by_row_in_the_order_wanted():
    image = Inputs(4, NORMALIZATION, num_spatial_dims=2)(PIXELS)
    rows = torch.cat([image[:, :, row] for row in range(4)], dim=-1)
    assert torch.equal(Inputs(4, NORMALIZATION, num_spatial_dims=1)(PIXELS), rows)
    told = Inputs(4, NORMALIZATION, num_spatial_dims=1, permutation=7)(PIXELS)
    for step, position in enumerate(reading_order(7, 16).tolist()):
        assert torch.equal(told[..., step], rows[..., position])


def test_sizes_follow_the_number_of_axes():
    assert compute_input_size(28, num_spatial_dims=1, permutation="bit_reversal") == (784,)
    assert compute_input_size(28, num_spatial_dims=2) == (28, 28)


def test_other_axes_and_permuted_images_are_refused():
    with pytest.raises(ValueError, match="num_spatial_dims must be 1 or 2, got 3"):
        compute_input_size(28, num_spatial_dims=3)
    with pytest.raises(ValueError, match=r"permutation must be none for images \(num_spatial_dims=2\), got 'bit_rev"):
        compute_input_size(28, num_spatial_dims=2, permutation="bit_reversal")


def test_images_of_another_size_are_resized():
    told = Inputs(6, NORMALIZATION, num_spatial_dims=2)(PIXELS)
    assert torch.equal(told, Inputs(6, NORMALIZATION, num_spatial_dims=2)(resize(PIXELS, 6)))
    assert told.shape == (2, 3, 6, 6)


def test_inputs_tell_their_shape():
    patches = Inputs(4, NORMALIZATION, num_spatial_dims=2, patch_size=2)
    assert (patches.in_channels, *patches.size) == (12, 2, 2) == patches(PIXELS).shape[1:]
