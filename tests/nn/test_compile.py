"""Laws of layers behind torch.compile: one program, the same values and gradients, few programs for many sizes."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from hyperseq.nn import SFNEBlock
from tests import cases
from tests.nn.layers import LAYERS, PADDED

# torch.compile itself does what torch deprecates
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

SIZES = (8, 7, 12, 5, 30)
over_padded_layers = pytest.mark.parametrize("name", PADDED)


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("size", [(7,), (5, 6)])
def test_a_compiled_block_is_one_program_with_the_same_values_and_gradients(size):
    torch.manual_seed(0)
    block = SFNEBlock(len(size), 2, 4, size=size).double()
    x = cases.normal(3, 2, *size)
    # all of torch.compile but the last step, the C++ compiler, which not every machine has
    compiled = torch.compile(block, backend="aot_eager", dynamic=False, fullgraph=True)
    cases.assert_same_with_gradients(compiled(x), block(x), [x, *block.parameters()])


@over_padded_layers
@pytest.mark.parametrize("with_lengths", [True, False], ids=["lengths", "full"])
def test_at_most_two_programs_serve_five_sizes_with_the_same_values_and_gradients(name, with_lengths):
    layer = LAYERS[name]
    module, twin = layer.make(training=True), layer.make(training=True)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, backend=counter, dynamic=True, fullgraph=True)
    for size in SIZES:
        inputs = layer.inputs(4, size=(size,))
        options = {"lengths": torch.tensor([5, 2, 3, size])} if with_lengths else {}
        found, truth = compiled(*inputs, **options), twin(*inputs, **options)
        cases.assert_close(found, truth)
        cotangent = cases.normal(*truth.shape, seed=99).detach()
        gradients = torch.autograd.grad(found, [*inputs, *module.parameters()], cotangent)
        expected = torch.autograd.grad(truth, [*inputs, *twin.parameters()], cotangent)
        largest = max(float(gradient.abs().max()) for gradient in expected)
        for one, other in zip(gradients, expected, strict=True):
            cases.assert_close(one, other, scale=largest)
    assert counter.frame_count <= 2


@over_padded_layers
@cases.over_junk
def test_compiled_padding_changes_nothing_and_receives_zero_gradients(name, junk):
    layer, lengths = LAYERS[name], (5, 1, 8, 3)
    module = layer.make()
    clean = layer.inputs(4)
    dirty = [cases.spoiled(x, lengths, junk) for x in clean]
    pads = cases.padding(clean[0].shape, lengths)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    found, truth = compiled(*dirty, lengths=torch.tensor(lengths)), module(*clean, lengths=torch.tensor(lengths))
    cases.assert_close(found, truth)
    assert (found.masked_select(pads) == 0).all()
    for gradient in torch.autograd.grad(found.square().sum(), dirty):
        assert gradient.isfinite().all()
        assert (gradient.masked_select(pads) == 0).all()


def test_compiling_leaves_the_state_as_it_was():
    block = SFNEBlock(1, 2, 4, size=7)
    names = list(block.state_dict())
    block.compile(backend="aot_eager", dynamic=False)
    assert list(block.state_dict()) == names
