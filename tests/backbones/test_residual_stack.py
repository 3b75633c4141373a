"""The residual stack: its equation, what it asks of a layer, and its errors."""

import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm, silu

from hyperseq.backbones import ResidualStack
from tests import cases
from tests.nn.layers import Attention, Operator


def build(layer=Attention, **options):
    torch.manual_seed(0)
    options = {"depth": 2, "d_model": 6, **options}
    return ResidualStack(3, layer=layer, **options).double()


def linear(module, x):
    return x @ module.weight.mT + module.bias


def by_hand(model, x, mlp):
    """The equation, one sample at a time."""
    outputs = []
    for sample in x:
        h = (model.stem.weight @ sample + model.stem.bias[:, None]).mT
        for part in model.layers:
            h = h + part.layer(layer_norm(h, (6,), part.layer_norm.weight, part.layer_norm.bias)[None])[0]
            if mlp == "none":
                continue
            z = layer_norm(h, (6,), part.mlp_norm.weight, part.mlp_norm.bias)
            if mlp == "gated":
                both = linear(part.mlp.hidden, z)
                h = h + linear(part.mlp.output, silu(both[:, :16]) * both[:, 16:])
            else:
                h = h + linear(part.mlp[2], gelu(linear(part.mlp[0], z)))
        outputs.append(layer_norm(h, (6,), model.norm.weight, model.norm.bias).mT)
    return torch.stack(outputs)


@pytest.mark.parametrize("mlp", ["gated", "plain", "none"])
def test_stack_equals_its_equation_with_gradients(mlp):
    model, x = build(mlp=mlp), cases.normal(2, 3, 7)
    truth = by_hand(model, x, mlp)
    cases.assert_same_with_gradients(model(x), truth, [x, *model.parameters()])


def test_gated_and_plain_mlps_have_as_many_weights():
    counts = []
    for mlp in ("gated", "plain"):
        model = build(mlp=mlp, d_model=12)
        counts.append(sum(p.numel() for p in model.parameters() if p.dim() == 2))
    assert counts[0] == counts[1]


def test_a_layer_is_made_anew_for_every_depth():
    widths = []
    model = build(lambda width: widths.append(width) or nn.Linear(width, width), depth=3)
    assert widths == [6, 6, 6]
    assert len({id(part.layer) for part in model.layers}) == 3
    assert model.out_channels == 6


def test_dropout_acts_in_training_alone():
    model, plain, x = build(dropout=0.5), build(), cases.normal(2, 3, 7)
    assert not torch.allclose(model.train()(x), plain(x))
    assert torch.equal(model.eval()(x), plain.eval()(x))


def test_layers_of_torch_are_taken_where_nothing_is_padded():
    model = build(lambda width: nn.TransformerEncoderLayer(width, 2, 8, batch_first=True))
    x = cases.normal(2, 3, 7)
    assert model(x, lengths=torch.tensor([7, 7])).shape == (2, 6, 7)
    with pytest.raises(ValueError, match="^lengths must be None for a layer .* lengths, got TransformerEncoderLayer"):
        model(x, lengths=torch.tensor([7, 6]))


def test_a_layer_gets_a_tensor_unless_it_asks_for_padding():
    seen = []

    class Watched(Attention):
        def forward(self, x, lengths=None):
            seen.append(lengths)
            return super().forward(x, lengths=lengths)

    build(Watched, depth=1)(cases.normal(2, 3, 7), lengths=torch.tensor([7, 4]))
    assert [type(lengths) for lengths in seen] == [torch.Tensor]
    assert seen[0].tolist() == [7, 4]
    assert build(Operator).layers[0].call_layer.takes_padding


@pytest.mark.parametrize("seed", [0, 1])
def test_a_stack_learns(seed):
    torch.manual_seed(seed)
    model, head = ResidualStack(2, layer=Attention, depth=2, d_model=8), nn.Linear(8, 2)
    x, target = torch.randn(16, 2, 12), torch.arange(16) % 2
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-3)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(head(model(x).mean(-1)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must .*, got 0"),
        ({"d_model": 0}, "d_model must .*, got 0"),
        ({"d_model": 6.0}, "d_model must .*, got 6.0"),
        ({"mlp": "wide"}, "mlp must be one of .*, got 'wide'"),
        ({"dropout": 1.0}, "dropout must .*, got 1.0"),
        ({"stem": nn.Identity()}, "d_model must be the 3 of in_channels without a stem, got 6"),
        ({"layer": lambda width: width}, "layer must return a torch.nn.Module, got int"),
    ],
)
def test_construction_error_names_argument_rule_and_value(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        build(**options)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda width: nn.Linear(width, 2 * width), r"layer must return .*\(2, 7, 6\).*, got \(2, 7, 12\) from Linear"),
        (
            lambda width: nn.GRU(width, width, batch_first=True),
            r"layer must return .*\(2, 7, 6\).*, got tuple from GRU",
        ),
    ],
    ids=["shape", "tuple"],
)
def test_a_layer_that_does_not_keep_its_shape_is_named(layer, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        build(layer)(cases.normal(2, 3, 7))
