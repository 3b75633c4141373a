"""Causal SFNE blocks and Terminators in pieces: prefill and steps give what the whole sequence gives."""

import copy

import pytest
import torch
from torch import nn

from hyperseq import Terminator
from hyperseq.nn import SequenceBlock, SFNEBlock, TokenEmbedding
from tests import cases

SMALL = {"slow_hidden_channels": 4, "slow_num_layers": 2, "omega_0": 3.0, "causal": True}
LENGTH = 67
"""More than the 64 positions of the first kernels and buffers."""

FORMS = {
    "block": lambda: SFNEBlock(1, 3, 5, size=20, **SMALL),
    "block-one-local-exact": lambda: SFNEBlock(1, 3, 1, size=9, local_kernel_sizes=(1,), exact=True, **SMALL),
    "sequence-block": lambda: SequenceBlock(3, l_max=20, num_groups=1, transposed=True, **SMALL),
    "terminator": lambda: Terminator(1, 3, size=20, channels=[2, 3, 4], dropout=0.5, **SMALL),
    "terminator-earlier": lambda: Terminator(1, 3, size=20, channels=[2, 3, 5], concatenate_earlier=True, **SMALL),
    "terminator-no-stem": lambda: Terminator(1, 3, size=20, channels=[3, 4], stem=nn.Identity(), **SMALL),
    "terminator-tokens": lambda: Terminator(1, 3, size=20, channels=[4, 4], stem=TokenEmbedding(7, 4), **SMALL),
}
over_forms = pytest.mark.parametrize("form", FORMS)


def build(form):
    torch.manual_seed(0)
    return FORMS[form]().double().eval()


def inputs(form, *, batch=2, length=LENGTH):
    if form == "terminator-tokens":
        return torch.randint(7, (batch, length), generator=torch.Generator().manual_seed(0))
    return cases.normal(batch, 3, length).detach()


@over_forms
@pytest.mark.parametrize("split", [0, 1, 66])
def test_prefill_and_steps_equal_the_parallel_form(form, split):
    layer, x = build(form), inputs(form)
    outputs, state = [], layer.initial_state(2)
    if split:
        output, state = layer.prefill(x[..., :split], state)
        outputs.append(output)
    for t in range(split, LENGTH):
        output, state = layer.step(x[..., t], state)
        outputs.append(output[..., None])
    found = torch.cat(outputs, dim=-1)
    assert not found.requires_grad
    cases.assert_close(found, layer(x).detach(), tolerance=1e-9)


@over_forms
def test_prefill_in_pieces_of_any_length_equals_the_parallel_form(form):
    layer, x = build(form), inputs(form, length=151)
    state, outputs = None, []
    for piece in x.tensor_split([3, 5, 6, 100], dim=-1):
        output, state = layer.prefill(piece, state)
        outputs.append(output)
    cases.assert_close(torch.cat(outputs, dim=-1), layer(x).detach(), tolerance=1e-9)


def test_float32_stays_within_1e_4():
    layer, x = build("terminator").float(), inputs("terminator", length=1000).float()
    state, outputs = None, []
    for piece in x.split(77, dim=-1):
        output, state = layer.prefill(piece, state)
        outputs.append(output)
    cases.assert_close(torch.cat(outputs, dim=-1), layer(x).detach(), tolerance=1e-4)


def test_channels_last_is_the_layout_of_a_sequence_block():
    torch.manual_seed(0)
    layer = SequenceBlock(4, l_max=9, **SMALL).double().eval()
    x = cases.normal(2, 9, 4).detach()
    first, state = layer.prefill(x[:, :8])
    last, _ = layer.step(x[:, 8], state)
    cases.assert_close(torch.cat([first, last[:, None]], dim=1), layer(x).detach(), tolerance=1e-9)


@over_forms
def test_a_copy_has_a_history_of_its_own(form):
    layer, x = build(form), inputs(form, length=6)
    _, state = layer.prefill(x[..., :4])
    twin = copy.deepcopy(state)
    first, _ = layer.prefill(x[..., 4:], state)
    assert torch.equal(layer.prefill(x[..., 4:], twin)[0], first)


@pytest.mark.parametrize(
    "layer",
    [
        SFNEBlock(1, 2, 2, size=4),
        SequenceBlock(2, l_max=4),
        SequenceBlock(2, l_max=4, num_spatial_dims=2),
        Terminator(1, 2, size=4, channels=[2, 2]),
    ],
    ids=["block", "sequence-block", "image-block", "terminator"],
)
def test_a_layer_that_reads_the_future_takes_no_pieces(layer):
    with pytest.raises(ValueError, match="^causal must be True for .* pieces, got causal=False"):
        layer.initial_state(1)


def test_a_stem_that_reads_several_positions_takes_no_pieces():
    stem = nn.Conv1d(2, 2, 3, padding=1)
    network = Terminator(1, 2, size=4, channels=[2, 2], stem=stem, **SMALL)
    with pytest.raises(ValueError, match="^stem must act on each position alone .*, got Conv1d"):
        network.prefill(torch.zeros(1, 2, 4))


@pytest.mark.parametrize("batch_size", [0, 1.5])
def test_batch_size_error_names_argument_rule_and_value(batch_size):
    with pytest.raises(ValueError, match=f"^batch_size must be an integer of at least 1, got {batch_size}"):
        build("block").initial_state(batch_size)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: b.step(torch.zeros(1, 3, 2), b.initial_state(1)), r"x must be one position \(batch, 3\), got .*"),
        (lambda b: b.prefill(torch.zeros(1, 2, 4)), r"x must have 3 channels, got shape \(1, 2, 4\)"),
        (lambda b: b.prefill(torch.zeros(1, 3, 4), earlier=[torch.zeros(1, 1, 4)]), "earlier must have 0 channels .*"),
    ],
)
def test_call_error_names_argument_rule_and_value(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(FORMS["block"]())
