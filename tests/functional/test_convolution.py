"""Laws of the convolutions: the fast one, the direct one and the loops agree, gradients included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperseq.functional import direct_conv, fft_conv
from hyperseq.functional._convolution import convolve_op, correlate_op
from tests import cases, reference

over_functions = pytest.mark.parametrize("convolve", [fft_conv, direct_conv])


def convolved_by_loops(signal, kernel, mode):
    kernels = list(kernel) * (signal.shape[0] // kernel.shape[0])
    pairs = zip(signal, kernels, strict=True)
    return reference.batch_of([reference.convolve(x, k, mode) for x, k in pairs])


@st.composite
def convolutions(draw):
    """Draw a mode, a signal shape, and a kernel shape that the mode allows."""
    mode = draw(st.sampled_from(["circular", "causal", "same"]))
    rank = 1 if mode == "causal" else draw(st.integers(1, 3))
    most = {1: 13, 2: 5, 3: 3}[rank]
    size = draw(st.tuples(*[st.integers(1, most)] * rank))
    kernel_size = size if mode == "circular" else draw(st.tuples(*[st.integers(1, most)] * rank))
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return mode, (batch, channels, *size), (draw(st.sampled_from([1, batch])), channels, *kernel_size)


@over_functions
@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=convolutions())
def test_convolution_equals_loops_with_gradients(convolve, case):
    mode, signal_shape, kernel_shape = case
    signal, kernel = cases.normal(*signal_shape), cases.normal(*kernel_shape, seed=1)
    found, truth = convolve(signal, kernel, mode=mode), convolved_by_loops(signal, kernel, mode)
    cases.assert_same_with_gradients(found, truth, [signal, kernel])


@pytest.mark.parametrize("mode", ["circular", "causal", "same"])
@pytest.mark.parametrize("length", [64, 97, 100])
def test_fft_equals_direct_with_gradients(mode, length):
    signal, kernel = cases.normal(2, 3, length), cases.normal(1, 3, length, seed=1)
    found, truth = fft_conv(signal, kernel, mode=mode), direct_conv(signal, kernel, mode=mode)
    cases.assert_same_with_gradients(found, truth, [signal, kernel])


@over_functions
@pytest.mark.parametrize("mode", ["circular", "same"])
def test_1d_equals_2d_with_dummy_axis(convolve, mode):
    signal, kernel = cases.normal(2, 3, 7), cases.normal(2, 3, 7, seed=1)
    flat = convolve(signal, kernel, mode=mode)
    for axis in (2, 3):
        raised = convolve(signal.unsqueeze(axis), kernel.unsqueeze(axis), mode=mode)
        cases.assert_same_with_gradients(raised.squeeze(axis), flat, [signal, kernel])


@over_functions
@pytest.mark.parametrize("mode", ["circular", "causal", "same"])
def test_convolution_with_an_impulse_moves_the_signal_there(convolve, mode):
    signal, kernel = torch.arange(1.0, 6.0).reshape(1, 1, 5), torch.zeros(1, 1, 5)
    kernel[..., 1] = 1.0
    expected = {"circular": [5, 1, 2, 3, 4], "causal": [0, 1, 2, 3, 4], "same": [2, 3, 4, 5, 0]}[mode]
    cases.assert_close(convolve(signal, kernel, mode=mode), torch.tensor([[expected]]).float(), tolerance=1e-6)


@over_functions
def test_causal_output_ignores_the_future(convolve):
    signal, kernel = cases.normal(1, 2, 9), cases.normal(1, 2, 9, seed=1)
    changed = torch.cat([signal[..., :5], 7.0 + signal[..., 5:]], dim=-1)
    before, after = convolve(signal, kernel, mode="causal"), convolve(changed, kernel, mode="causal")
    cases.assert_close(after[..., :5], before[..., :5], tolerance=1e-13)
    assert not torch.allclose(after[..., 5:], before[..., 5:])


@over_functions
@pytest.mark.parametrize("mode", ["circular", "same"])
def test_non_contiguous_inputs_change_nothing(convolve, mode):
    signal, kernel = cases.normal(2, 3, 5, 6), cases.normal(1, 3, 5, 6, seed=1)
    swapped = signal.transpose(2, 3).contiguous().transpose(2, 3)
    assert not swapped.is_contiguous()
    cases.assert_close(
        convolve(swapped, kernel.flip(3).flip(3).mT.contiguous().mT, mode=mode),
        convolve(signal, kernel, mode=mode),
    )


@over_functions
@cases.over_half_types
@pytest.mark.parametrize("mode", ["circular", "causal", "same"])
@pytest.mark.parametrize("length", [63, 64])
def test_half_types_keep_their_type_and_lose_only_their_own_digits(convolve, dtype, mode, length):
    signal, kernel = cases.normal(2, 2, length, dtype=dtype), cases.normal(1, 2, length, seed=1, dtype=dtype)
    found = convolve(signal, kernel, mode=mode)
    truth = convolve(signal.double(), kernel.double(), mode=mode)
    assert found.dtype == dtype
    # a sum in float32, rounded once: half a unit of the last place
    assert cases.relative_error(found, truth) < 0.51 * torch.finfo(dtype).eps


@over_functions
def test_float64_stays_float64(convolve):
    assert convolve(cases.normal(1, 1, 5), cases.normal(1, 1, 5), mode="circular").dtype == torch.float64


@over_functions
def test_autocast_changes_nothing_for_float32(convolve):
    signal, kernel = (
        cases.normal(2, 2, 9, dtype=torch.float32),
        cases.normal(1, 2, 9, seed=1, dtype=torch.float32),
    )
    plain = convolve(signal, kernel, mode="circular")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(convolve(signal, kernel, mode="circular"), plain)


@over_functions
@pytest.mark.parametrize("mode", ["circular", "causal", "same"])
def test_gradcheck(convolve, mode):
    signal, kernel = cases.normal(2, 1, 3), cases.normal(1, 1, 3, seed=1)
    assert torch.autograd.gradcheck(lambda x, k: convolve(x, k, mode=mode), (signal, kernel))
    assert torch.autograd.gradgradcheck(lambda x, k: convolve(x, k, mode=mode), (signal, kernel))


@over_functions
@pytest.mark.parametrize(
    ("signal", "kernel", "mode", "message"),
    [
        ((2, 3), (1, 3), "same", r"signal must .*, got .*\(2, 3\)"),
        ((2, 3, 0), (1, 3, 1), "same", r"signal must .*, got .*\(2, 3, 0\)"),
        ((2, 3, 5), (1, 3, 5, 5), "same", r"kernel must .*, got .*\(1, 3, 5, 5\)"),
        ((2, 3, 5), (1, 2, 5), "same", r"kernel must .*, got .*\(1, 2, 5\)"),
        ((3, 3, 5), (2, 3, 5), "same", r"kernel must .*, got .*\(2, 3, 5\)"),
        ((2, 3, 5), (1, 3, 0), "same", r"kernel must .*, got .*\(1, 3, 0\)"),
        ((2, 3, 5), (1, 3, 4), "circular", r"kernel must .*as large as the signal.*, got .*\(4,\)"),
        ((2, 3, 5, 5), (1, 3, 5, 5), "causal", "mode must .*'causal'.*, got .*"),
        (
            (2, 3, 5),
            (1, 3, 5),
            "cyclic",
            "mode must be one of .*'circular'.*'causal'.*'same'.*, got 'cyclic'",
        ),
    ],
)
def test_error_names_argument_rule_and_value(convolve, signal, kernel, mode, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        convolve(torch.zeros(signal), torch.zeros(kernel), mode=mode)


# What torch.compile sees as one step.


@pytest.mark.parametrize(
    ("size", "start", "fast"), [((7,), (0,), False), ((8,), (2,), True), ((1,), (0,), True), ((4, 6), (1, 2), True)]
)
@pytest.mark.parametrize("kernel_batch", [1, 2])
def test_convolution_as_a_custom_op_keeps_the_rules_of_custom_ops(size, start, fast, kernel_batch):
    kernel, signals = cases.normal(kernel_batch, 3, *size), [cases.normal(2, 3, *size, seed=n) for n in range(2)]
    least = [2 * n for n in size] if fast else list(size)
    torch.library.opcheck(convolve_op, (kernel, signals, least, fast, start, size))
    fixed, grads = [x.detach() for x in (kernel, *signals)], [torch.randn(2, 3, *size).double() for _ in range(2)]
    torch.library.opcheck(correlate_op, (fixed[0], fixed[1:], grads, least, fast, start, [True, False, True]))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own
def test_convolution_as_a_custom_op_refuses_forward_mode():
    kernel, signal = torch.randn(1, 2, 4), torch.randn(2, 2, 4)
    with pytest.raises(RuntimeError, match="^convolutions must be differentiated in reverse mode.*, got forward mode"):
        torch.func.jvp(lambda x: convolve_op(kernel, [x], [4], False, [0], [4])[0], (signal,), (signal,))
