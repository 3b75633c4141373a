import pytest
import torch

from tasks.images.inputs import Normalization, as_inputs, input_size
from tests.tasks.images.archives import noise

PIXELS = torch.from_numpy(noise(2, 3, 4, 4))
NORMALIZATION = Normalization(mean=(0.1, 0.2, 0.3), deviation=(0.4, 0.5, 0.6))


def test_each_channel_is_normalised_by_its_own_numbers():
    told = as_inputs(PIXELS, normalization=NORMALIZATION, num_spatial_dims=2)
    assert told.dtype == torch.float32 and told.shape == PIXELS.shape
    for channel, (mean, deviation) in enumerate(zip(*NORMALIZATION, strict=True)):
        expected = (PIXELS[:, channel].double() / 255 - mean) / deviation
        torch.testing.assert_close(told[:, channel].double(), expected, rtol=1e-6, atol=1e-6)


def test_a_sequence_is_the_image_row_by_row_in_the_order_wanted():
    image = as_inputs(PIXELS, normalization=NORMALIZATION, num_spatial_dims=2)
    rows = torch.cat([image[:, :, row] for row in range(4)], dim=-1)
    assert torch.equal(as_inputs(PIXELS, normalization=NORMALIZATION, num_spatial_dims=1), rows)
    order = torch.randperm(16)
    told = as_inputs(PIXELS, normalization=NORMALIZATION, num_spatial_dims=1, order=order)
    for step, position in enumerate(order.tolist()):
        assert torch.equal(told[..., step], rows[..., position])


def test_sizes_follow_the_number_of_axes():
    assert input_size(28, num_spatial_dims=1, permutation="bit_reversal") == (784,)
    assert input_size(28, num_spatial_dims=2) == (28, 28)


def test_other_axes_and_permuted_images_are_refused():
    with pytest.raises(ValueError, match="num_spatial_dims must be 1 or 2, got 3"):
        input_size(28, num_spatial_dims=3)
    with pytest.raises(ValueError, match=r"permutation must be none for images \(num_spatial_dims=2\), got 'bit_rev"):
        input_size(28, num_spatial_dims=2, permutation="bit_reversal")
