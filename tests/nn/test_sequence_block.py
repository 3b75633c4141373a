"""The SFNE block in the clothes of the mixer: layouts, masks, options."""

import pytest
import torch

from hyperseq.nn import SequenceBlock, SFNEBlock
from hyperseq.optim import param_groups
from tests import cases

SMALL = {"slow_hidden_channels": 4, "slow_num_layers": 2, "omega_0": 3.0}
RANKS = {"sequence": (1, 7, (7,)), "image": (2, (3, 5), (3, 5)), "volume": (3, 2, (2, 1, 3))}
over_ranks = pytest.mark.parametrize("rank", RANKS)


def build(rank="sequence", **options):
    torch.manual_seed(0)
    num_spatial_dims, l_max, _ = RANKS[rank]
    return SequenceBlock(4, l_max=l_max, num_spatial_dims=num_spatial_dims, **SMALL, **options).double()


# Not causal, the layer needs no entry in the battery: it is the block, which has one.
@over_ranks
@pytest.mark.parametrize("transposed", [False, True])
def test_the_block_is_the_sfne_block_with_channels_last(rank, transposed):
    layer, (num_spatial_dims, l_max, size) = build(rank, transposed=transposed), RANKS[rank]
    twin = SFNEBlock(num_spatial_dims, 4, 4, size=l_max, **SMALL).double()
    twin.load_state_dict(layer.block.state_dict())
    x = cases.normal(2, 4, *size)
    found = layer(x) if transposed else layer(x.movedim(1, -1)).movedim(-1, 1)
    cases.assert_same_with_gradients(found, twin(x), [x])


@pytest.mark.parametrize("causal", [False, True])
def test_lengths_and_mask_say_the_same(causal):
    layer, lengths = build(causal=causal), torch.tensor([5, 7, 1])
    mask = torch.arange(7) < lengths[:, None]
    x = cases.normal(3, 7, 4).detach().masked_fill(~mask[..., None], float("nan"))
    found = layer(x, mask=mask)
    assert torch.equal(found, layer(x, lengths=lengths))
    assert found.isfinite().all() and (found[~mask] == 0).all()


def test_device_and_type_are_options():
    options = {"l_max": 5, **SMALL}
    assert {p.dtype for p in SequenceBlock(4, dtype=torch.float64, **options).parameters()} == {torch.float64}
    assert all(p.is_meta for p in SequenceBlock(4, device="meta", **options).parameters())


def test_slow_networks_are_marked_and_do_not_decay():
    layer = build()
    kept = {p for p in layer.parameters() if getattr(p, "_no_weight_decay", False) and p._no_reinit}
    slow = [group for group in param_groups(layer, lr=1e-3, weight_decay=0.1) if group["name"] == "slow networks"]
    assert kept == set(slow[0]["params"])


@pytest.mark.parametrize(
    ("rank", "shape", "options", "message"),
    [
        ("sequence", (2, 4, 7), {}, r"x must be \(batch, length, channels\) with 4 channels, and not empty, got .*"),
        ("image", (2, 3, 4), {}, r"x must be \(batch, height, width, channels\) with 4 channels, and not empty, .*"),
        ("volume", (2, 4), {}, r"x must be \(batch, 3 spatial axes, channels\) with 4 channels, and not empty, .*"),
        (
            "image",
            (2, 3, 5, 4),
            {"mask": torch.ones(2, 3).bool()},
            "mask must be None unless .*one spatial axis, got .*",
        ),
        ("image", (2, 3, 5, 4), {"lengths": torch.tensor([1, 2])}, "lengths must come with one spatial axis .*"),
    ],
)
def test_call_error_names_argument_rule_and_value(rank, shape, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        build(rank)(torch.zeros(*shape).double(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l_max": 0}, r"l_max must hold integers of at least 1, got \(0,\)"),
        ({"l_max": 5, "num_groups": 3}, "num_groups must divide the 4 channels, got 3"),
        ({"l_max": 5, "num_spatial_dims": 2, "causal": True}, "causal must be False unless num_spatial_dims is 1, .*"),
    ],
)
def test_construction_error_names_argument_rule_and_value(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SequenceBlock(4, **options)
