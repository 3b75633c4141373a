"""Laws of layers behind torch.compile: one program, the same values and gradients, few programs for many sizes."""

import pytest
import torch
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounterWithBackend

from hyperseq.functional import local_hyperzzw
from hyperseq.nn import SFNEBlock
from tests import cases
from tests.nn.layers import LAYERS, PADDED

# torch.compile itself does what torch deprecates
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

SIZES = (8, 7, 12, 5, 30)
# Each takes seconds, so one stack and one block stand for all. The export tests take more of them.
LAYERS_ALONE = [n for n in PADDED if not n.startswith(("SFNEBlock", "SequenceBlock", "Terminator", "ResidualStack"))]
COMPILED = [*LAYERS_ALONE, "ResidualStack-1d-gated", "SFNEBlock-1d"]
# Without lengths there is less to compile. The mixers consist of the other layers.
WITHOUT_LENGTHS = [n for n in LAYERS_ALONE if n.startswith(("GlobalHyperZZW", "SequenceMixer"))]


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    torch.compiler.reset()


def test_a_compiled_block_of_images_is_one_program_with_the_same_values_and_gradients():
    torch.manual_seed(0)
    block = SFNEBlock(2, 2, 4, size=(5, 6)).double()
    x = cases.normal(3, 2, 5, 6)
    compiled = torch.compile(block, backend="eager", dynamic=False, fullgraph=True)
    cases.assert_same_with_gradients(compiled(x), block(x), [x, *block.parameters()])


def check_five_sizes(name, *, with_lengths):
    layer = LAYERS[name]
    module, twin = layer.make(training=True), layer.make(training=True)
    # All of torch.compile but the last step, the C++ compiler, which not every machine has. For what consists of layers
    # also without the step before, which takes most of the time.
    counter = CompileCounterWithBackend("eager" if name.startswith(("SFNEBlock", "SequenceMixer")) else "aot_eager")
    compiled = torch.compile(module, backend=counter, dynamic=True, fullgraph=True)
    for size in SIZES:
        inputs, options, lengths = layer.inputs(4, size=(size,)), {}, (size,) * 4
        if with_lengths:
            lengths = (5, 2, 3, size)
            inputs = [cases.spoiled(x, lengths, float("nan")) for x in inputs]
            options["lengths"] = torch.tensor(lengths)
        found, truth = compiled(*inputs, **options), twin(*inputs, **options)
        cases.assert_close(found, truth)
        cotangent = cases.normal(*truth.shape, seed=99).detach()
        gradients = torch.autograd.grad(found, [*inputs, *module.parameters()], cotangent)
        expected = torch.autograd.grad(truth, [*inputs, *twin.parameters()], cotangent)
        largest = max(float(gradient.abs().max()) for gradient in expected)
        for one, other in zip(gradients, expected, strict=True):
            cases.assert_close(one, other, scale=largest)
        pads = cases.padding(truth.shape, lengths)
        for padded in (found, *gradients[: len(inputs)]):
            assert (padded.masked_select(pads) == 0).all()
    assert counter.frame_count <= 2


@pytest.mark.parametrize("name", COMPILED)
def test_at_most_two_programs_serve_padded_batches_of_five_sizes_exactly(name):
    check_five_sizes(name, with_lengths=True)


@pytest.mark.parametrize("name", WITHOUT_LENGTHS)
def test_at_most_two_programs_serve_five_sizes_exactly(name):
    check_five_sizes(name, with_lengths=False)


@pytest.mark.parametrize("size", [(9,), (5, 6)])
def test_no_convolution_of_the_compiler_has_groups_for_the_samples_of_a_batch(size):
    # Inductor makes one program for each number of groups, and thereby for each batch size.
    ops = []

    def collect(graph, inputs):
        ops.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return make_boxed_func(graph)

    backend = aot_autograd(fw_compiler=collect, bw_compiler=collect)
    compiled = torch.compile(local_hyperzzw, backend=backend, dynamic=True, fullgraph=True)
    for batch_size in (2, 3, 5):
        values = cases.normal(batch_size, 2, *size)
        kernel = cases.normal(batch_size, 2, *[4] * len(size), seed=1)
        cotangent = cases.normal(batch_size, 2, *size, seed=2).detach()
        found, truth = compiled(values, kernel), local_hyperzzw(values, kernel)
        gradients, expected = (torch.autograd.grad(y, [values, kernel], cotangent) for y in (found, truth))
        for one, other in zip((found, *gradients), (truth, *expected), strict=True):
            cases.assert_close(one, other)
    assert any("hyperseq.convolve_groups" in op for op in ops)
    assert not [op for op in ops if "aten.convolution" in op]


def test_compiling_leaves_the_state_as_it_was():
    block = SFNEBlock(1, 2, 4, size=7)
    names = list(block.state_dict())
    block.compile(backend="aot_eager", dynamic=False)
    assert list(block.state_dict()) == names
