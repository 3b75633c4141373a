"""Laws of a block behind torch.compile: one program, the same values and gradients."""

import pytest
import torch

from hyperseq.nn import SFNEBlock
from tests import cases

# torch.compile itself does what torch deprecates
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


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


def test_compiling_leaves_the_state_as_it_was():
    block = SFNEBlock(1, 2, 4, size=7)
    names = list(block.state_dict())
    block.compile(backend="aot_eager", dynamic=False)
    assert list(block.state_dict()) == names
