import pytest
import torch

from tasks.images.permutations import bit_reversal, reading_order

# First and last entries as published, for the 784 pixels of MNIST.
BIT_REVERSAL = [0, 512, 256, 768, 128, 640, 384, 64, 576, 320, 192, 704]
OLDER_PAPERS = [319, 576, 323, 107, 355, 716, 197, 20]
CKCONV = [693, 85, 647, 392, 765, 14, 299, 711]


@pytest.mark.parametrize(("permutation", "first"), [("bit_reversal", BIT_REVERSAL), (92916, OLDER_PAPERS), (0, CKCONV)])
def test_the_published_orders_begin_like_this(permutation, first):
    assert reading_order(permutation, 784)[: len(first)].tolist() == first


def test_the_bit_reversal_ends_as_published():
    assert bit_reversal(784)[-4:].tolist() == [383, 255, 767, 511]


@pytest.mark.parametrize("permutation", ["bit_reversal", 92916, 0])
@pytest.mark.parametrize("num_positions", [1, 2, 5, 784, 1024])
def test_every_position_is_read_once(permutation, num_positions):
    assert torch.equal(reading_order(permutation, num_positions).sort().values, torch.arange(num_positions))


def test_the_bit_reversal_reverses_written_numbers():
    num_bits = 10
    written = [int(f"{position:0{num_bits}b}"[::-1], 2) for position in range(2**num_bits)]
    for num_positions in (784, 1024):
        assert bit_reversal(num_positions).tolist() == [position for position in written if position < num_positions]


def test_none_is_no_order():
    assert reading_order("none", 784) is None


@pytest.mark.parametrize("permutation", ["reversal", -1, 2**32, True, None])
def test_another_permutation_is_refused(permutation):
    message = rf"permutation must be none, bit_reversal or a seed from 0 to 2\*\*32 - 1, got {permutation!r}"
    with pytest.raises(ValueError, match=message):
        reading_order(permutation, 784)
