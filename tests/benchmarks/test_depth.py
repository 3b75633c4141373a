import pytest
import torch

from benchmarks.depth import Statistics, amplification, build
from hyperseq import Terminator


def test_statistics_are_those_of_every_block_s_output():
    torch.manual_seed(0)
    network = Terminator(1, 2, size=9, channels=[2, 4, 6, 8])
    outputs, features = [], network.stem(torch.randn(3, 2, 9))
    x = features.detach()
    for block in network.blocks:
        features = block(features)
        features.retain_grad()
        outputs.append(features)
    (outputs[-1] * torch.arange(9)).sum().backward()

    network.stem = torch.nn.Identity()
    watched = Statistics(network)
    found = x
    for block in network.blocks:
        found = block(found)
    (found * torch.arange(9)).sum().backward()
    assert watched.deviations == [pytest.approx(output.std().item(), rel=1e-4) for output in outputs]
    roots = [output.grad.square().mean().sqrt().item() for output in outputs]
    assert watched.gradients == [pytest.approx(root, rel=1e-4) for root in roots]


def test_a_closed_watch_sees_nothing():
    network = Terminator(1, 2, size=9, channels=[2, 4, 6])
    watched = Statistics(network)
    watched.close()
    network(torch.randn(3, 2, 9)).sum().backward()
    assert watched.deviations == [] and watched.gradients == [0.0, 0.0]


class Doubling(torch.nn.Module):
    """A stand-in for a block: a linear branch, a constant that changes nothing, and one of second degree."""

    def __init__(self):
        super().__init__()
        self.bottleneck = torch.nn.Identity()

    def forward(self, x):
        return self.bottleneck([3 * x, x + 5, x.square()])[2]


def test_a_linear_branch_amplifies_by_one_and_a_square_of_positive_numbers_by_its_slope():
    torch.manual_seed(0)
    x = 10 + torch.randn(8, 2, 500, dtype=torch.float64)
    found = amplification(Doubling(), x)
    assert list(found) == ["1", "2", "3", "output"]
    assert found["1"] == pytest.approx(1.0) and found["2"] == pytest.approx(1.0)
    slopes, deviation = 2 * x, x.square().std() / x.std()
    assert found["3"] == pytest.approx(float(slopes.square().mean().sqrt() / deviation), rel=0.05)
    assert found["output"] == found["3"]


def test_a_plain_start_is_that_of_any_mixing():
    """The largest of 16 * 144 numbers from a uniform distribution lies at its bound."""
    largest = [
        float(build(2, plain_start=plain_start, seed=0).blocks[1].bottleneck.weight.detach().abs().max())
        for plain_start in (True, False)
    ]
    assert largest[0] == pytest.approx(1 / 12, rel=0.05)
    assert largest[1] > 2 / 12
