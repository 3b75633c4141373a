import pytest
import torch
from torch import nn

from hyperseq import Terminator
from tasks.errors import UserError
from tasks.learning.backbone import (
    Backbone,
    HasHyperKernels,
    ShortensSequences,
    check_backbone,
    check_takes_rate,
    input_size,
)


class Plain(nn.Module):
    out_channels = 3

    def forward(self, x, *, lengths=None):
        return x


class WithoutLengths(nn.Module):
    out_channels = "3"

    def hyper_kernels(self, size):
        return []

    def forward(self, x):
        return x


def test_a_network_without_hyper_kernels_is_a_backbone():
    check_backbone(Plain())
    assert isinstance(Plain(), Backbone) and not isinstance(Plain(), HasHyperKernels | ShortensSequences)


def test_the_terminator_is_one_with_hyper_kernels():
    network = Terminator(1, 1, size=9, channels=[2, 4])
    check_backbone(network)
    assert isinstance(network, Backbone) and isinstance(network, HasHyperKernels)


def test_a_network_or_stem_that_takes_no_rate_is_named():
    class Halving(nn.Conv1d):
        def output_lengths(self, lengths):
            return lengths // 2

    check_takes_rate(Terminator(1, 1, size=9, channels=[2, 4]))
    with pytest.raises(UserError, match="rate must be left out with Plain, whose forward takes no rate"):
        check_takes_rate(Plain())
    network = Terminator(1, 1, size=8, channels=[2, 4], stem=Halving(1, 2, 2, stride=2))
    with pytest.raises(UserError, match="native_rate must be left out with the stem Halving, which is made for one"):
        check_takes_rate(network, name="native_rate")


def test_what_a_network_lacks_is_named_all_at_once():
    with pytest.raises(UserError, match="out_channels must be a positive integer") as told:
        check_backbone(WithoutLengths())
    assert "WithoutLengths is no backbone that can be trained: " in str(told.value)
    assert "forward must take lengths=None" in str(told.value)
    assert "forward must take hyper_kernels=None" in str(told.value)
    with pytest.raises(UserError, match=r"got None; forward\(x, \*, lengths=None\) is missing"):
        check_backbone(nn.Module())


def test_the_spatial_size_is_that_of_values_and_of_ids():
    assert input_size(torch.zeros(2, 1, 9)) == (9,) and input_size(torch.zeros(2, 9)) == (9,)
    assert input_size(torch.zeros(2, 3, 4, 5)) == (4, 5)
