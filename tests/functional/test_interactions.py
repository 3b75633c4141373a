"""Laws of the hyper-channel interaction and the hyper interaction, as functions of given kernels."""

import pytest
import torch

from hyperseq.functional import hyper_channel_interaction, hyper_interaction
from tests import cases, reference


def operands(*shape, dtype=torch.float64):
    """X, Y, the channel kernel and the spatial kernel, the latter with a sum that stands out from rounding."""
    return (
        cases.normal(*shape, dtype=dtype),
        cases.normal(*shape, seed=1, dtype=dtype),
        cases.normal(shape[1], seed=2, dtype=dtype),
        cases.normal(1, 1, *shape[2:], seed=3, dtype=dtype),
    )


def channel_by_loops(x, kernel, lengths=None):
    samples = reference.samples_of(x, lengths)
    return reference.batch_of([reference.hyper_channel_interaction(s, kernel) for s in samples], x.shape[2:])


def interaction_by_loops(x, high_level, channel_kernel, spatial_kernel, lengths=None):
    pairs = zip(reference.samples_of(x, lengths), reference.samples_of(high_level, lengths), strict=True)
    results = [reference.hyper_interaction(s, y, channel_kernel, spatial_kernel[0]) for s, y in pairs]
    return reference.batch_of(results, x.shape[2:])


def interaction(x, high_level, channel_kernel, spatial_kernel, lengths=None):
    return hyper_interaction(
        x, high_level, channel_kernel=channel_kernel, spatial_kernel=spatial_kernel, lengths=lengths
    )


@cases.over_shapes(cases.SHAPES)
def test_channel_interaction_equals_loops_with_gradients(shape):
    x, _, kernel, _ = operands(*shape)
    cases.assert_same_with_gradients(hyper_channel_interaction(x, kernel), channel_by_loops(x, kernel), [x, kernel])


@pytest.mark.parametrize("lengths", [None, (5, 1, 7)], ids=["full", "lengths"])
def test_channel_scores_of_x_weigh_other_values_with_gradients(lengths):
    x, values, kernel, _ = operands(3, 2, 7)
    pairs = zip(reference.samples_of(x, lengths), reference.samples_of(values, lengths), strict=True)
    truth = reference.batch_of([reference.hyper_channel_interaction(s, kernel, v) for s, v in pairs], (7,))
    dirty, tensor = values, None
    if lengths is not None:
        dirty, tensor = values.masked_fill(cases.padding(values.shape, lengths), float("nan")), torch.tensor(lengths)
    found = hyper_channel_interaction(x, kernel, values=dirty, lengths=tensor)
    cases.assert_same_with_gradients(found, truth, [x, values, kernel])


@cases.over_shapes(cases.SHAPES)
def test_interaction_equals_loops_with_gradients(shape):
    leaves = operands(*shape)
    cases.assert_same_with_gradients(interaction(*leaves), interaction_by_loops(*leaves), leaves)


@cases.over_padded
@cases.over_junk
def test_padded_equals_unpadded_with_gradients(shape, lengths, junk):
    x, y, channel_kernel, spatial_kernel = leaves = operands(*shape)
    pads, tensor = cases.padding(shape, lengths), torch.tensor(lengths)
    dirty_x, dirty_y = x.masked_fill(pads, junk), y.masked_fill(pads, -junk)
    found = hyper_channel_interaction(dirty_x, channel_kernel, lengths=tensor)
    cases.assert_same_with_gradients(found, channel_by_loops(x, channel_kernel, lengths), [x, channel_kernel])
    found = interaction(dirty_x, dirty_y, channel_kernel, spatial_kernel, lengths=tensor)
    cases.assert_same_with_gradients(found, interaction_by_loops(*leaves, lengths), leaves)


def test_1d_equals_2d_with_dummy_axis():
    x, y, channel_kernel, spatial_kernel = leaves = operands(2, 3, 7)
    for axis in (2, 3):
        raised_x, raised_y, raised_kernel = (t.unsqueeze(axis) for t in (x, y, spatial_kernel))
        raised = interaction(raised_x, raised_y, channel_kernel, raised_kernel).squeeze(axis)
        cases.assert_same_with_gradients(raised, interaction(*leaves), leaves)
        raised = hyper_channel_interaction(raised_x, channel_kernel).squeeze(axis)
        cases.assert_same_with_gradients(raised, hyper_channel_interaction(x, channel_kernel), [x, channel_kernel])


def test_a_zero_score_halves_the_input():
    x, y, channel_kernel, spatial_kernel = operands(2, 3, 7)
    zero = torch.zeros_like(channel_kernel)
    cases.assert_close(hyper_channel_interaction(x, zero), x / 2)
    cases.assert_close(interaction(x, y, zero, spatial_kernel), x / 2)


@cases.over_half_types
@pytest.mark.parametrize("lengths", [None, (60, 63)])
def test_half_types_keep_their_type_and_lose_only_their_own_digits(dtype, lengths):
    leaves = operands(2, 3, 63, dtype=dtype)
    lengths = None if lengths is None else torch.tensor(lengths)
    doubles = [leaf.double() for leaf in leaves]
    found, truth = interaction(*leaves, lengths=lengths), interaction(*doubles, lengths=lengths)
    assert found.dtype == dtype
    # scores are below 1: their rounding, that of the sigmoid and that of the product
    assert cases.relative_error(found, truth) < 2 * torch.finfo(dtype).eps
    found = hyper_channel_interaction(leaves[0], leaves[2], lengths=lengths)
    assert found.dtype == dtype
    truth = hyper_channel_interaction(doubles[0], doubles[2], lengths=lengths)
    assert cases.relative_error(found, truth) < 2 * torch.finfo(dtype).eps


def test_float64_stays_float64():
    leaves = operands(2, 3, 7)
    assert interaction(*leaves).dtype == torch.float64
    assert hyper_channel_interaction(leaves[0], leaves[2]).dtype == torch.float64


def test_non_contiguous_inputs_change_nothing():
    x, y, channel_kernel, spatial_kernel = operands(2, 3, 4, 5)
    turned = [t.detach().mT.contiguous().mT for t in (x, y, spatial_kernel)]
    found = interaction(turned[0], turned[1], channel_kernel, turned[2])
    cases.assert_close(found, interaction(x, y, channel_kernel, spatial_kernel))
    cases.assert_close(
        hyper_channel_interaction(turned[0], channel_kernel), hyper_channel_interaction(x, channel_kernel)
    )


def test_gradcheck():
    x, y, channel_kernel, spatial_kernel = operands(2, 2, 3)
    lengths = torch.tensor([3, 2])
    assert torch.autograd.gradcheck(lambda *t: interaction(*t, lengths=lengths), (x, y, channel_kernel, spatial_kernel))
    assert torch.autograd.gradcheck(lambda x, k: hyper_channel_interaction(x, k, lengths=lengths), (x, channel_kernel))


@pytest.mark.parametrize(
    ("x", "y", "channel", "spatial", "message"),
    [
        ((2, 3), (2, 3), (3,), (1, 1), r"x must .*, got .*\(2, 3\)"),
        ((2, 3, 5), (2, 4, 5), (3,), (1, 1, 5), r"high_level must .*, got .*\(2, 4, 5\)"),
        ((2, 3, 5), (2, 3, 6), (3,), (1, 1, 5), r"high_level must .*, got .*\(6,\)"),
        ((2, 3, 5), (2, 3, 5), (4,), (1, 1, 5), r"channel_kernel must .*, got .*\(4,\)"),
        ((2, 3, 5), (2, 3, 5), (3,), (1, 1, 6), r"spatial_kernel must .*, got .*\(6,\)"),
        ((2, 3, 5), (2, 3, 5), (3,), (1, 3, 5), r"spatial_kernel must .*, got .*\(1, 3, 5\)"),
    ],
)
def test_interaction_error_names_argument_rule_and_value(x, y, channel, spatial, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        interaction(*map(torch.zeros, (x, y, channel, spatial)))


def test_channel_interaction_refuses_values_of_another_size():
    with pytest.raises(ValueError, match=r"^values must .*, got .*\(6,\)"):
        hyper_channel_interaction(torch.zeros(2, 3, 5), torch.zeros(3), values=torch.zeros(2, 3, 6))


def test_channel_interaction_error_names_argument_rule_and_value():
    with pytest.raises(ValueError, match=r"^hyper_kernel must .*, got .*\(4,\)"):
        hyper_channel_interaction(torch.zeros(2, 3, 5), torch.zeros(4))


@pytest.mark.parametrize("lengths", [None, (5, 1, 7)], ids=["full", "lengths"])
def test_causal_interactions_equal_loops_with_gradients(lengths):
    x, y, channel_kernel, spatial_kernel = leaves = operands(3, 2, 7)
    samples = list(zip(reference.samples_of(x, lengths), reference.samples_of(y, lengths), strict=True))
    tensor, dirty = None, (x, y)
    if lengths is not None:
        pads, tensor = cases.padding(x.shape, lengths), torch.tensor(lengths)
        dirty = tuple(t.masked_fill(pads, float("nan")) for t in (x, y))
    truth = [reference.hyper_channel_interaction(s, channel_kernel, causal=True) for s, _ in samples]
    found = hyper_channel_interaction(dirty[0], channel_kernel, lengths=tensor, causal=True)
    cases.assert_same_with_gradients(found, reference.batch_of(truth, (7,)), [x, channel_kernel])

    truth = [reference.hyper_interaction(s, h, channel_kernel, spatial_kernel[0], causal=True) for s, h in samples]
    found = hyper_interaction(
        *dirty, channel_kernel=channel_kernel, spatial_kernel=spatial_kernel, lengths=tensor, causal=True
    )
    cases.assert_same_with_gradients(found, reference.batch_of(truth, (7,)), leaves)


def test_a_causal_interaction_needs_one_spatial_axis():
    x, y, channel_kernel, spatial_kernel = operands(1, 2, 3, 3)
    with pytest.raises(ValueError, match=r"^causal must be False .*, got x of shape \(1, 2, 3, 3\)"):
        hyper_channel_interaction(x, channel_kernel, causal=True)
    with pytest.raises(ValueError, match=r"^causal must be False .*, got x of shape \(1, 2, 3, 3\)"):
        hyper_interaction(x, y, channel_kernel=channel_kernel, spatial_kernel=spatial_kernel, causal=True)
