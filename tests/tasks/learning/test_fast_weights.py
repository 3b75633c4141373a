import pytest
import torch

from hyperseq import Terminator
from tasks.learning.fast_weights import record_fast_weights


@pytest.mark.parametrize("size", [(1,), (7,), (3, 5)])
def test_the_fast_weights_of_a_block_are_its_kernel_times_its_input(size):
    torch.manual_seed(0)
    network = Terminator(len(size), 2, size=size, channels=[3, 4, 6]).eval()
    x = torch.randn(2, 2, *size)
    first, second = record_fast_weights(network, x)
    stem = network.stem(x)
    torch.testing.assert_close(first, network.blocks[0].hyper_kernel(size) * stem)
    torch.testing.assert_close(second, network.blocks[1].hyper_kernel(size) * network.blocks[0](stem))


def test_recording_leaves_the_network_as_it_was():
    network = Terminator(1, 1, size=5, channels=[2, 2]).train()
    running = [buffer.clone() for buffer in network.buffers()]
    (weights,) = record_fast_weights(network, torch.randn(1, 1, 5))
    assert network.training and not weights.requires_grad
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert all(map(torch.equal, running, network.buffers()))


def test_a_network_without_blocks_has_no_fast_weights():
    assert record_fast_weights(torch.nn.Conv1d(1, 2, 3), torch.randn(1, 1, 5)) == []
