import pytest
import torch

from benchmarks.depth import Statistics
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
