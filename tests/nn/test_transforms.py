"""Laws of layers under torch.func: functional_call, grad, vmap, forward mode, and double backward."""

import pytest
import torch
from torch.func import functional_call, grad, jvp, vmap

from tests import cases
from tests.nn.layers import LAYERS, WITH_INPUTS

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own
over_layers = pytest.mark.parametrize("name", WITH_INPUTS)
OWN = [name for name in WITH_INPUTS if LAYERS[name].uses_batch != "always"]


@over_layers
def test_functional_call_takes_other_weights(name):
    layer = LAYERS[name]
    module, other, inputs = layer.make(), layer.make(seed=1), layer.inputs()
    assert torch.equal(functional_call(module, other.state_dict(), tuple(inputs)), other(*inputs))


@over_layers
def test_func_grad_equals_backward(name):
    layer = LAYERS[name]
    module, inputs = layer.make(), layer.inputs()
    expected = torch.autograd.grad(module(*inputs).square().sum(), inputs)
    plain = [x.detach() for x in inputs]
    found = grad(lambda *xs: module(*xs).square().sum(), argnums=tuple(range(len(plain))))(*plain)
    largest = max(float(gradient.abs().max()) for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        cases.assert_close(one, other, tolerance=1e-8, scale=largest)


@pytest.mark.parametrize("name", OWN)
def test_vmap_equals_a_loop(name):
    layer = LAYERS[name]
    module, inputs = layer.make(), [x.detach() for x in layer.inputs(4)]
    stacked = [x.reshape(2, 2, *x.shape[1:]) for x in inputs]
    cases.assert_close(vmap(module)(*stacked).flatten(0, 1), module(*inputs), tolerance=1e-8)


@pytest.mark.parametrize("name", ["BatchStandardization", "GroupStandardization", "SFNEBlock-1d"])
def test_vmap_in_training_is_refused_where_running_statistics_would_change(name):
    found = next(each for each in LAYERS if each.startswith(name))
    layer = LAYERS[found]
    module, inputs = layer.make(training=True), [x.detach() for x in layer.inputs(4)]
    with pytest.raises(RuntimeError, match="BatchStandardization must be in evaluation mode under torch.vmap, got"):
        vmap(module)(*[x.reshape(2, 2, *x.shape[1:]) for x in inputs])


@over_layers
def test_forward_mode_gives_the_true_tangent(name):
    layer = LAYERS[name]
    module, inputs = layer.make(), tuple(x.detach() for x in layer.inputs())
    tangents = tuple(cases.normal(*x.shape, seed=7).detach() for x in inputs)
    _, tangent = jvp(module, inputs, tangents)
    step = 1e-6
    ahead = module(*[x + step * t for x, t in zip(inputs, tangents, strict=True)])
    behind = module(*[x - step * t for x, t in zip(inputs, tangents, strict=True)])
    cases.assert_close(tangent, (ahead - behind) / (2 * step), tolerance=1e-5)


@pytest.mark.parametrize("name", [n for n in WITH_INPUTS if not n.startswith("Terminator")])
def test_double_backward(name):
    layer = LAYERS[name]
    module, inputs = layer.make(training=True), layer.inputs(2)
    twin = layer.make()
    module.eval() if layer.uses_batch == "never" else None
    del twin
    assert torch.autograd.gradgradcheck(lambda *xs: module(*xs), inputs, fast_mode=True, atol=1e-4, rtol=1e-3)
