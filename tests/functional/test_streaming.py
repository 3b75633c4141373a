"""Laws of the operators that take a sequence in pieces: the pieces change nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperseq.functional import causal_local_hyperzzw, cumulative_mean, fft_conv, instance_standardize
from hyperseq.functional.streaming import (
    ConvolutionState,
    MeanState,
    MomentState,
    WindowState,
    stream_convolution,
    stream_mean,
    stream_standardize,
    stream_window,
)
from tests import cases, reference


def pieces_of(x, cuts):
    """Cut ``(B, C, S)`` at some positions."""
    return torch.tensor_split(x, cuts, dim=-1)


def streamed_convolution(kernel, values, cuts):
    state = ConvolutionState(values[0].shape[0], values[0].shape[1], num_values=len(values), like=values[0])
    pieces = zip(*(pieces_of(x, cuts) for x in (kernel, *values)), strict=True)
    outputs = [stream_convolution(w, list(vs), state) for w, *vs in pieces]
    return [torch.cat(parts, dim=-1) for parts in zip(*outputs, strict=True)]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(size=st.integers(1, 40), data=st.data())
def test_a_convolution_in_any_pieces_equals_loops(size, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, size - 1)))) if size > 1 else []
    kernel, value = cases.normal(2, 2, size).detach(), cases.normal(2, 2, size, seed=1).detach()
    truth = reference.batch_of([reference.convolve(v, k, "causal") for v, k in zip(value, kernel, strict=True)])
    (found,) = streamed_convolution(kernel, [value], cuts)
    cases.assert_close(found, truth)


@pytest.mark.parametrize("cuts", [range(1, 300), [299], [64, 128, 256], []], ids=["steps", "two", "doubled", "one"])
def test_long_convolutions_equal_the_transform(cuts):
    """Buffers are doubled at 64, 128 and 256 positions."""
    kernel, values = cases.normal(1, 3, 300).detach(), [cases.normal(2, 3, 300, seed=seed).detach() for seed in (1, 2)]
    found = streamed_convolution(kernel, values, list(cuts))
    for one, value in zip(found, values, strict=True):
        cases.assert_close(one, fft_conv(value, kernel, mode="causal"))


@cases.over_half_types
def test_half_types_keep_their_type_and_sum_in_float32(dtype):
    kernel, value = (cases.normal(1, 2, 100, seed=seed, dtype=dtype).detach() for seed in (0, 1))
    (found,) = streamed_convolution(kernel, [value], [7, 8, 50])
    assert found.dtype == dtype
    truth = fft_conv(value.double(), kernel.double(), mode="causal")
    assert cases.relative_error(found, truth) < torch.finfo(dtype).eps


@settings(max_examples=20, deadline=None, derandomize=True)
@given(size=st.integers(1, 12), num_taps=st.integers(1, 5), data=st.data())
def test_a_window_in_any_pieces_equals_the_window_over_the_whole(size, num_taps, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, size - 1)))) if size > 1 else []
    x, kernel = cases.normal(2, 3, size).detach(), cases.normal(1, 3, num_taps, seed=1).detach()
    state = WindowState(x.new_zeros(2, 3, num_taps - 1))
    found = torch.cat([stream_window(piece, kernel, state) for piece in pieces_of(x, cuts)], dim=-1)
    cases.assert_close(found, causal_local_hyperzzw(torch.ones_like(x), x, kernel))


def test_streaming_records_no_gradient():
    kernel, value = cases.normal(1, 2, 5), cases.normal(1, 2, 5, seed=1)
    (found,) = stream_convolution(kernel, [value], ConvolutionState(1, 2, like=value))
    assert not found.requires_grad
    assert not stream_window(value, kernel, WindowState(torch.zeros(1, 2, 4).double())).requires_grad


@pytest.mark.parametrize(
    ("kernel", "values", "message"),
    [
        ((1, 2, 3), [(2, 2, 3), (2, 2, 3)], "values must hold 1 tensors, as the state does, got 2"),
        ((1, 2, 3), [(3, 2, 3)], r"values must have the batch and channels \(2, 2\) of the state, got .*3, 2, 3.*"),
        ((1, 4, 3), [(2, 2, 3)], r"kernel must .*, got shape \(1, 4, 3\)"),
        ((1, 2, 3), [(2, 2)], r"values must .*, got shape \(2, 2\)"),
    ],
)
def test_convolution_error_names_argument_rule_and_value(kernel, values, message):
    state = ConvolutionState(2, 2, like=torch.zeros(()))
    with pytest.raises(ValueError, match=f"^{message}"):
        stream_convolution(torch.zeros(kernel), [torch.zeros(value) for value in values], state)


def test_a_window_state_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"^state must hold the last positions \(2, 3, 4\), got \(2, 3, 2\)"):
        stream_window(torch.zeros(2, 3, 1), torch.zeros(1, 3, 5), WindowState(torch.zeros(2, 3, 2)))


STATISTICS = {
    "mean": (stream_mean, MeanState, cumulative_mean),
    "standardize": (stream_standardize, MomentState, lambda x: instance_standardize(x, causal=True)),
}


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("cuts", [[], [1], [12], [1, 2, 3], list(range(1, 13)), [5, 11]])
def test_statistics_in_pieces_equal_those_of_the_whole(name, cuts):
    function, new_state, whole = STATISTICS[name]
    x, state = cases.normal(2, 3, 13).detach(), new_state()
    found = torch.cat([function(piece, state) for piece in pieces_of(x, cuts)], dim=-1)
    cases.assert_close(found, whole(x), tolerance=1e-11)


@pytest.mark.parametrize("name", STATISTICS)
def test_float32_statistics_of_a_large_mean_and_many_pieces_keep_their_digits(name):
    function, new_state, whole = STATISTICS[name]
    x, state = cases.normal(1, 1, 20_000, dtype=torch.float32).detach() + 100, new_state()
    found = torch.cat([function(piece, state) for piece in x.split(97, dim=-1)], dim=-1)
    assert found.dtype == torch.float32
    # relative to the largest value: 100 for the mean, about 4 for what is standardized
    cases.assert_close(found.double(), whole(x.double()), tolerance=1e-4)


def test_statistics_refuse_another_rank_and_eps():
    with pytest.raises(ValueError, match="^x must be .* 1 spatial axes, got shape"):
        stream_mean(torch.zeros(2, 3), MeanState())
    with pytest.raises(ValueError, match="^x must be .* 1 spatial axes, got shape"):
        stream_standardize(torch.zeros(2, 3), MomentState())
    with pytest.raises(ValueError, match="^eps must be a finite number above 0, got 0"):
        stream_standardize(torch.zeros(2, 3, 1), MomentState(), eps=0)
