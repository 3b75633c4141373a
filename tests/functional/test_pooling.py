"""Laws of the means over space."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperseq.functional import adaptive_mean_pool, cumulative_mean, spatial_mean
from tests import cases, reference


@cases.over_shapes(cases.SHAPES)
def test_spatial_mean_equals_loops_with_gradients(shape):
    x = cases.normal(*shape)
    truth = torch.stack([reference.spatial_mean(sample) for sample in x])
    cases.assert_same_with_gradients(spatial_mean(x), truth, [x])


@st.composite
def pools(draw):
    rank = draw(st.integers(1, 3))
    most = {1: 12, 2: 6, 3: 3}[rank]
    size = draw(st.tuples(*[st.integers(1, most)] * rank))
    return size, draw(st.tuples(*[st.integers(1, most)] * rank))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=pools())
def test_adaptive_mean_pool_equals_loops_with_gradients(case):
    size, bins = case
    x = cases.normal(2, 2, *size)
    truth = torch.stack([reference.adaptive_mean_pool(sample, bins) for sample in x])
    cases.assert_same_with_gradients(adaptive_mean_pool(x, bins), truth, [x])


@cases.over_padded
@cases.over_junk
def test_padded_means_equal_unpadded_with_gradients(shape, lengths, junk):
    x = cases.normal(*shape)
    dirty, tensor = x.masked_fill(cases.padding(shape, lengths), junk), torch.tensor(lengths)
    samples = reference.samples_of(x, lengths)
    truth = torch.stack([reference.spatial_mean(sample) for sample in samples])
    cases.assert_same_with_gradients(spatial_mean(dirty, lengths=tensor), truth, [x])
    for bins in (1, 3, 5):
        truth = torch.stack([reference.adaptive_mean_pool(sample, (bins,)) for sample in samples])
        cases.assert_same_with_gradients(adaptive_mean_pool(dirty, bins, lengths=tensor), truth, [x])


def test_adaptive_mean_pool_by_hand():
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]])
    assert adaptive_mean_pool(x, 2).tolist() == [[[2.0, 4.0]]]
    assert adaptive_mean_pool(x, 2, lengths=torch.tensor([4])).tolist() == [[[1.5, 3.5]]]


def test_means_1d_equal_2d_with_dummy_axis():
    x = cases.normal(2, 3, 7)
    for axis in (2, 3):
        bins = [3, 1] if axis == 3 else [1, 3]
        cases.assert_close(spatial_mean(x.unsqueeze(axis)), spatial_mean(x))
        pooled = adaptive_mean_pool(x.unsqueeze(axis), bins)
        cases.assert_close(pooled.squeeze(axis), adaptive_mean_pool(x, 3))


@cases.over_half_types
@pytest.mark.parametrize("lengths", [None, (1001, 257)], ids=["full", "lengths"])
def test_means_of_half_types_keep_their_type_and_lose_only_their_own_digits(dtype, lengths):
    x = (1.0 + cases.normal(2, 3, 1003)).detach().to(dtype)
    lengths = None if lengths is None else torch.tensor(lengths)
    for pool in (spatial_mean, lambda x, lengths: adaptive_mean_pool(x, 3, lengths=lengths)):
        found, truth = pool(x, lengths=lengths), pool(x.double(), lengths=lengths)
        assert found.dtype == dtype
        assert cases.relative_error(found, truth) < 0.6 * torch.finfo(dtype).eps


def test_float16_means_do_not_overflow():
    x, lengths = torch.full((1, 1, 70_001), 2.0).half(), torch.tensor([70_000])
    for found in (
        spatial_mean(x, lengths=lengths),
        adaptive_mean_pool(x, 1, lengths=lengths),
        spatial_mean(x),
    ):
        assert found.flatten().tolist() == [2.0]
    assert adaptive_mean_pool(x, 1).flatten().tolist() == [2.0]


def test_means_of_float64_stay_float64():
    x = cases.normal(2, 3, 7)
    assert spatial_mean(x).dtype == adaptive_mean_pool(x, 2).dtype == torch.float64


def test_means_gradcheck():
    x, lengths = cases.normal(2, 1, 4), torch.tensor([2, 4])
    assert torch.autograd.gradcheck(lambda x: spatial_mean(x, lengths=lengths), x)
    assert torch.autograd.gradcheck(lambda x: adaptive_mean_pool(x, 3, lengths=lengths), x)


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        (0, "output_size must .*, got .*0"),
        ((2, 2), "output_size must .*, got .*2"),
        (-1, "output_size must .*, got .*-1"),
    ],
)
def test_pool_error_names_argument_rule_and_value(bins, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        adaptive_mean_pool(torch.zeros(2, 3, 5), bins)


@cases.over_shapes(cases.SHAPES_1D)
def test_cumulative_mean_equals_loops_with_gradients(shape):
    x = cases.normal(*shape)
    truth = reference.batch_of([reference.cumulative_mean(s) for s in reference.samples_of(x)])
    cases.assert_same_with_gradients(cumulative_mean(x), truth, [x])


@cases.over_padded
@cases.over_junk
def test_cumulative_mean_padded_equals_unpadded_with_gradients(shape, lengths, junk):
    x = cases.normal(*shape)
    truth = reference.batch_of([reference.cumulative_mean(s) for s in reference.samples_of(x, lengths)], x.shape[2:])
    found = cumulative_mean(x.masked_fill(cases.padding(shape, lengths), junk), lengths=torch.tensor(lengths))
    cases.assert_same_with_gradients(found, truth, [x])


def test_the_last_cumulative_mean_is_the_mean():
    x = cases.normal(2, 3, 7)
    cases.assert_close(cumulative_mean(x)[..., -1], spatial_mean(x))
