"""Laws of exported layers: with lengths and any batch size, the same values."""

import inspect

import pytest
import torch

from tests import cases
from tests.nn.layers import LAYERS, PADDED


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
# A whole network takes a quarter of a minute: the one with the most options stands for all.
@pytest.mark.parametrize(
    "name", [n for n in PADDED if not n.startswith(("SequenceBlock", "Terminator"))] + ["Terminator-1d-many-options"]
)
def test_an_exported_layer_takes_padded_batches_of_any_size(name):
    layer = LAYERS[name]
    module = layer.make()
    batch = torch.export.Dim("batch", min=2, max=64)
    inputs = tuple(x.detach() for x in layer.inputs(3))
    dynamic = (tuple({0: batch} for _ in inputs), {"lengths": {0: batch}})
    signature = dict(zip([*_argument_names(module, len(inputs)), "lengths"], [*dynamic[0], {0: batch}], strict=True))
    program = torch.export.export(module, inputs, {"lengths": torch.tensor([5, 8, 3])}, dynamic_shapes=signature)
    for lengths in ((5, 1, 8, 3, 2), (8, 8)):
        inputs = [x.detach() for x in layer.inputs(len(lengths))]
        found = program.module()(*inputs, lengths=torch.tensor(lengths))
        cases.assert_close(found, module(*inputs, lengths=torch.tensor(lengths)).detach())


def _argument_names(module, count):
    return list(inspect.signature(module.forward).parameters)[:count]
