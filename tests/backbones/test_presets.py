"""The preset of the paper has the published numbers."""

import numpy as np
import pytest
import torch

from hyperseq import Terminator
from hyperseq.backbones import TerminatorCIFAR
from tests import cases


def slow(num_spatial_dims, out_channels, hidden=32, layers=3):
    """Parameters of a slow network: frequencies and phases, hidden mixings, output mixing."""
    return (layers + 1) * hidden * (num_spatial_dims + 1) + layers * hidden * (hidden + 1) + (hidden + 1) * out_channels


def block(c, wide):
    """Parameters of a block with four local branches, by the table."""
    gates = 2 * (4 * c * c + 2 * c)  # four mixings each, key and query with bias
    local = 4 * (slow(2, c) + 32 * (c + 1) + c * c)  # slow network, context mixing, mixing
    interactions = slow(1, 1) + slow(1, 1) + slow(2, 1)
    return slow(2, c) + gates + c * c + local + interactions + 10 * c * wide


def test_cifar_preset_has_the_published_channels_kernels_and_groups():
    model = TerminatorCIFAR()
    assert list(model.channels) == [3, 12, 36, 72, 144, 288]
    assert isinstance(model.stem, torch.nn.Identity)
    assert len(model.blocks) == 5
    assert [tuple(kernel.shape) for kernel in model.hyper_kernels((2, 2))] == [
        (1, c, 2, 2) for c in (3, 12, 36, 72, 144)
    ]
    for one in model.blocks:
        assert [operator.kernel_size for operator in one.local_operators] == [(3, 3), (9, 9), (5, 5), (7, 7)]
        assert one.standardization.num_groups == 12


def test_cifar_preset_has_its_golden_number_of_parameters():
    widths = [3, 12, 36, 72, 144, 288]
    found = sum(parameter.numel() for parameter in TerminatorCIFAR().parameters())
    assert found == sum(block(c, wide) for c, wide in zip(widths, widths[1:], strict=False)) == 1_126_031


def test_cifar_preset_takes_images_in_its_published_modes():
    for options in ({}, {"mode": "circular"}, {"statistics": "batch", "kernel_per": "batch"}):
        model = TerminatorCIFAR(size=4, **options).eval()
        assert model(cases.normal(2, 3, 4, 4, dtype=torch.float32)).shape == (2, 288, 4, 4)


def test_cifar_preset_takes_what_the_data_decide():
    model = TerminatorCIFAR(num_spatial_dims=2, in_channels=3, size=(4, 4))
    assert isinstance(model, Terminator)
    assert model.size == TerminatorCIFAR(size=np.int64(4)).size == (4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_spatial_dims": 1}, "num_spatial_dims must be 2 .*, got 1"),
        ({"in_channels": 1}, "in_channels must be 3 .*, got 1"),
        ({"size": (4, 5)}, r"size must be square .*, got \(4, 5\)"),
        ({"size": (4,)}, r"size must have 2 entries.*, got \(4,\)"),
        ({"mode": "causal"}, "mode must be one of .*, got 'causal'"),
    ],
)
def test_cifar_preset_refuses_other_data(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        TerminatorCIFAR(**options)
