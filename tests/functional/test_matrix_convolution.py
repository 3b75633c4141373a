"""Laws of the forms that ONNX files hold: equal to the FFT and to the sliding window, in values and all gradients."""

import pytest

from hyperseq.functional import direct_conv, local_hyperzzw
from hyperseq.functional._matrix_convolution import convolve_by_matrices
from hyperseq.functional._sliding_window import _gathered_windows
from tests import cases

SIZES = [(1,), (2,), (7,), (13,), (12,), (1, 1), (5, 6), (7, 1)]


@pytest.mark.parametrize("size", SIZES)
def test_convolution_by_matrices_is_the_circular_convolution(size):
    kernel, one, other = (cases.normal(count, 2, *size, seed=count) for count in (1, 3, 3))
    found = convolve_by_matrices(kernel, [one, other], size, False, [0] * len(size), size)
    for result, signal in zip(found, (one, other), strict=True):
        truth = direct_conv(signal, kernel, mode="circular")
        cases.assert_same_with_gradients(result, truth, [kernel, signal])


@pytest.mark.parametrize(("size", "taps"), [((7,), (3,)), ((1,), (5,)), ((5, 6), (3, 4))])
def test_convolution_by_matrices_is_the_linear_convolution_where_there_is_room(size, taps):
    kernel, signal = cases.normal(1, 2, *taps, seed=1), cases.normal(3, 2, *size)
    room = [n + k - 1 for n, k in zip(size, taps, strict=True)]
    start = [k // 2 for k in taps]
    (found,) = convolve_by_matrices(kernel, [signal], room, True, start, size)
    cases.assert_same_with_gradients(found, direct_conv(signal, kernel, mode="same"), [kernel, signal])


@pytest.mark.parametrize(
    ("size", "taps"), [((7,), (3,)), ((1,), (5,)), ((8,), (4,)), ((5, 6), (3, 2)), ((7, 5), (1, 7))]
)
def test_gathered_windows_are_the_sliding_window(size, taps):
    values, kernel = cases.normal(3, 2, *size), cases.normal(3, 2, *taps, seed=1)
    before, after = [k // 2 for k in taps], [k - 1 - k // 2 for k in taps]
    found = _gathered_windows(values, kernel, before, after)
    cases.assert_same_with_gradients(found, local_hyperzzw(values, kernel), [values, kernel])
