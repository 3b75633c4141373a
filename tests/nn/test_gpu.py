"""Laws of layers on a CUDA device: the values and all gradients of the CPU, with padding and without."""

import pytest
import torch

from tests import cases
from tests.nn.layers import LAYERS, PADDED

pytestmark = [
    pytest.mark.gpu,
    # torch's own advice to itself, when the first product of a process is one of the backward pass
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS:UserWarning"),
]


def values_and_gradients(layer, device, **options):
    module = layer.make(training=True).to(device)
    inputs = [x.detach().to(device) for x in layer.inputs(3)]
    inputs = [x.requires_grad_(x.is_floating_point()) for x in inputs]
    output = module(*inputs, **{name: value.to(device) for name, value in options.items()})
    leaves = [leaf for leaf in (*inputs, *module.parameters()) if leaf.requires_grad]
    cotangent = cases.normal(*output.shape, seed=99).detach().to(device)
    gradients = torch.autograd.grad(output, leaves, cotangent)
    return [tensor.detach().cpu() for tensor in (output, *gradients, *module.buffers())]


def check_same_as_on_the_cpu(name, **options):
    found = values_and_gradients(LAYERS[name], "cuda", **options)
    expected = values_and_gradients(LAYERS[name], "cpu", **options)
    largest = max(float(tensor.abs().max()) for tensor in expected)
    for one, other in zip(found, expected, strict=True):
        cases.assert_close(one, other, scale=largest)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_the_values_gradients_and_buffers_of_the_cpu(name):
    check_same_as_on_the_cpu(name)


@pytest.mark.parametrize("name", PADDED)
def test_a_padded_batch_has_the_values_gradients_and_buffers_of_the_cpu(name):
    check_same_as_on_the_cpu(name, lengths=torch.tensor([5, 8, 3]))
