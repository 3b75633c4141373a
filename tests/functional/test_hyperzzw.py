"""Laws of the HyperZZW operator, global and local, as functions of a given kernel."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperseq.functional import causal_local_hyperzzw, global_hyperzzw, local_hyperzzw
from tests import cases, reference

MODES_1D = ["circular", "causal", "product"]
MODES_2D = ["circular", "matmul", "product"]


def operands(*shape, dtype=torch.float64):
    """Context, hyper-kernel and value of a shape."""
    return (
        cases.normal(*shape, dtype=dtype),
        cases.normal(1, *shape[1:], seed=1, dtype=dtype),
        cases.normal(*shape, seed=2, dtype=dtype),
    )


def global_by_loops(context, hyper_kernel, value, mode, lengths=None):
    samples = zip(reference.samples_of(context, lengths), reference.samples_of(value, lengths), strict=True)
    results = [reference.global_hyperzzw(x, hyper_kernel[0], v, mode) for x, v in samples]
    return reference.batch_of(results, context.shape[2:])


GLOBAL_CASES = [(shape, mode) for shape in cases.SHAPES_1D for mode in MODES_1D]
GLOBAL_CASES += [
    (shape, mode) for shape in cases.SHAPES_2D for mode in MODES_2D if mode != "matmul" or shape[2] == shape[3]
]
GLOBAL_CASES += [(shape, mode) for shape in cases.SHAPES_3D for mode in ("circular", "product")]


@pytest.mark.parametrize(("shape", "mode"), GLOBAL_CASES, ids=cases.shape_id)
def test_global_equals_loops_with_gradients(shape, mode):
    context, hyper_kernel, value = leaves = operands(*shape)
    found = global_hyperzzw(context, hyper_kernel, value, mode=mode)
    cases.assert_same_with_gradients(found, global_by_loops(context, hyper_kernel, value, mode), leaves)


@pytest.mark.parametrize("mode", MODES_1D)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(size=st.integers(1, 14), data=st.data())
def test_padded_equals_loops_over_samples_of_any_length(mode, size, data):
    lengths = data.draw(st.lists(st.integers(1, size), min_size=1, max_size=3))
    shape = (len(lengths), 1, size)
    context, hyper_kernel, value = operands(*shape)
    # truth and fast path start from the same leaves, so that gradients at the padding are compared too: zero
    pads = cases.padding(shape, lengths)
    found = global_hyperzzw(
        context.masked_fill(pads, float("nan")),
        hyper_kernel,
        value.masked_fill(pads, float("inf")),
        mode=mode,
        lengths=torch.tensor(lengths),
    )
    truth = global_by_loops(context, hyper_kernel, value, mode, lengths)
    cases.assert_same_with_gradients(found, truth, [context, hyper_kernel, value])


@pytest.mark.parametrize("mode", ["circular", "matmul", "product"])
def test_one_kernel_for_each_sample_equals_separate_calls(mode):
    context, _, value = operands(3, 2, 4, 4)
    hyper_kernel = cases.normal(3, 2, 4, 4, seed=5)
    together = global_hyperzzw(context, hyper_kernel, value, mode=mode)
    apart = [
        global_hyperzzw(context[i : i + 1], hyper_kernel[i : i + 1], value[i : i + 1], mode=mode) for i in range(3)
    ]
    cases.assert_same_with_gradients(together, torch.cat(apart), [context, hyper_kernel, value])


@pytest.mark.parametrize("mode", ["circular", "product"])
def test_1d_equals_2d_with_dummy_axis(mode):
    leaves = operands(2, 3, 7)
    flat = global_hyperzzw(*leaves, mode=mode)
    for axis in (2, 3):
        raised = global_hyperzzw(*[x.unsqueeze(axis) for x in leaves], mode=mode)
        cases.assert_same_with_gradients(raised.squeeze(axis), flat, leaves)


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((2, 3, 8), m) for m in MODES_1D] + [((2, 3, 4, 4), m) for m in MODES_2D],
    ids=cases.shape_id,
)
def test_values_that_share_a_spectrum_equal_separate_calls(shape, mode):
    context, hyper_kernel, first = operands(*shape)
    values = [first, cases.normal(*shape, seed=3), cases.normal(*shape, seed=4)]
    together = global_hyperzzw(context, hyper_kernel, values, mode=mode)
    apart = [global_hyperzzw(context, hyper_kernel, value, mode=mode) for value in values]
    assert isinstance(together, list)
    assert isinstance(apart[0], torch.Tensor)
    cases.assert_same_with_gradients(torch.stack(together), torch.stack(apart), [context, hyper_kernel, *values])
    assert isinstance(global_hyperzzw(context, hyper_kernel, tuple(values), mode=mode), list)


@pytest.mark.parametrize("lengths", [None, (5, 8)])
@pytest.mark.parametrize("mode", MODES_1D)
def test_operator_is_linear_in_its_values(mode, lengths):
    context, hyper_kernel, value = operands(2, 3, 8)
    other = cases.normal(2, 3, 8, seed=3)
    lengths = None if lengths is None else torch.tensor(lengths)

    def operator(v):
        return global_hyperzzw(context, hyper_kernel, v, mode=mode, lengths=lengths)

    cases.assert_close(operator(3.0 * value - 0.5 * other), 3.0 * operator(value) - 0.5 * operator(other))


def test_circular_output_sees_every_input_of_its_own_length_and_no_more():
    context, hyper_kernel, value = operands(1, 1, 8)
    y = global_hyperzzw(context, hyper_kernel, value, lengths=torch.tensor([5]))
    for n in range(5):
        gradient = torch.autograd.grad(y[0, 0, n], value, retain_graph=True)[0][0, 0]
        assert (gradient[:5] != 0).all()
        assert (gradient[5:] == 0).all()


def test_causal_output_ignores_the_future():
    context, hyper_kernel, value = operands(1, 1, 9)
    y = global_hyperzzw(context, hyper_kernel, value, mode="causal")
    later = 5.0 + context.detach()
    changed_context = torch.where(torch.arange(9) > 4, later, context)
    changed = global_hyperzzw(changed_context, hyper_kernel, value, mode="causal")
    cases.assert_close(changed[..., :5], y[..., :5], tolerance=1e-13)


def test_lengths_that_are_all_full_change_nothing():
    leaves = operands(3, 2, 7)
    assert torch.equal(global_hyperzzw(*leaves, lengths=torch.tensor([7, 7, 7])), global_hyperzzw(*leaves))


LOCAL_CASES = [
    ((2, 3, 7), (3,)),
    ((1, 2, 3), (7,)),
    ((2, 1, 8), (4,)),
    ((3, 2, 1), (1,)),
    ((2, 2, 3, 5), (3, 1)),
    ((1, 2, 4, 2), (2, 5)),
    ((1, 1, 2, 3, 2), (3, 3, 1)),
]


@pytest.mark.parametrize("per_sample", [True, False], ids=["kernel-per-sample", "one-kernel"])
@pytest.mark.parametrize(("shape", "kernel_size"), LOCAL_CASES, ids=cases.shape_id)
def test_local_equals_loops_with_gradients(shape, kernel_size, per_sample):
    batch, channels = shape[:2]
    value, kernel = (
        cases.normal(*shape),
        cases.normal(batch if per_sample else 1, channels, *kernel_size, seed=1),
    )
    kernels = kernel if per_sample else [kernel[0]] * batch
    truth = reference.batch_of([reference.local_hyperzzw(v, k) for v, k in zip(value, kernels, strict=True)])
    cases.assert_same_with_gradients(local_hyperzzw(value, kernel), truth, [value, kernel])


def test_local_1d_equals_2d_with_dummy_axis():
    value, kernel = cases.normal(2, 3, 7), cases.normal(2, 3, 5, seed=1)
    flat = local_hyperzzw(value, kernel)
    for axis in (2, 3):
        raised = local_hyperzzw(value.unsqueeze(axis), kernel.unsqueeze(axis))
        cases.assert_same_with_gradients(raised.squeeze(axis), flat, [value, kernel])


def test_local_is_a_correlation_and_not_a_convolution():
    value, kernel = torch.arange(1.0, 6.0).reshape(1, 1, 5), torch.tensor([[[0.0, 0.0, 1.0]]])
    assert local_hyperzzw(value, kernel).tolist() == [[[2.0, 3.0, 4.0, 5.0, 0.0]]]


def test_local_non_contiguous_inputs_change_nothing():
    value, kernel = cases.normal(2, 3, 5, 6), cases.normal(2, 3, 3, 3, seed=1)
    swapped = value.detach().transpose(2, 3).contiguous().transpose(2, 3)
    assert not swapped.is_contiguous()
    cases.assert_close(local_hyperzzw(swapped, kernel), local_hyperzzw(value, kernel))


@cases.over_half_types
@pytest.mark.parametrize("mode", MODES_1D)
@pytest.mark.parametrize("lengths", [None, (50, 63)])
def test_half_types_keep_their_type_and_lose_only_their_own_digits(dtype, mode, lengths):
    context, hyper_kernel, value = operands(2, 3, 63, dtype=dtype)
    lengths = None if lengths is None else torch.tensor(lengths)
    found = global_hyperzzw(context, hyper_kernel, value, mode=mode, lengths=lengths)
    truth = global_hyperzzw(context.double(), hyper_kernel.double(), value.double(), mode=mode, lengths=lengths)
    assert found.dtype == dtype
    # W is rounded once and Y once
    assert cases.relative_error(found, truth) < 1.1 * torch.finfo(dtype).eps


@cases.over_half_types
def test_local_half_types_keep_their_type_and_lose_only_their_own_digits(dtype):
    value, kernel = cases.normal(2, 3, 63, dtype=dtype), cases.normal(2, 3, 9, seed=1, dtype=dtype)
    found = local_hyperzzw(value, kernel)
    assert found.dtype == dtype
    assert cases.relative_error(found, local_hyperzzw(value.double(), kernel.double())) < 0.51 * torch.finfo(dtype).eps


def check_once_and_twice(operator, *leaves):
    assert torch.autograd.gradcheck(operator, leaves)
    assert torch.autograd.gradgradcheck(operator, leaves)


@pytest.mark.parametrize("lengths", [None, (2, 3)], ids=["full", "lengths"])
@pytest.mark.parametrize("mode", MODES_1D)
def test_gradcheck_once_and_twice(mode, lengths):
    lengths = None if lengths is None else torch.tensor(lengths)
    operator = lambda x, k, v: global_hyperzzw(x, k, v, mode=mode, lengths=lengths)  # noqa: E731
    check_once_and_twice(operator, *operands(2, 1, 3))


def test_gradcheck_once_and_twice_with_values_that_share_a_spectrum():
    several = lambda x, k, *values: tuple(global_hyperzzw(x, k, values))  # noqa: E731
    check_once_and_twice(several, *operands(2, 1, 2), cases.normal(2, 1, 2, seed=3))


def test_gradcheck_once_and_twice_of_matmul_and_local():
    check_once_and_twice(lambda x, k, v: global_hyperzzw(x, k, v, mode="matmul"), *operands(1, 1, 2, 2))
    check_once_and_twice(local_hyperzzw, cases.normal(2, 1, 4), cases.normal(2, 1, 3, seed=1))
    check_once_and_twice(local_hyperzzw, cases.normal(2, 1, 2, 2), cases.normal(1, 1, 3, 1, seed=1))


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((2, 3), (1, 3), (2, 3)), {}, r"context must .*, got .*\(2, 3\)"),
        (((2, 3, 5), (1, 3, 4), (2, 3, 5)), {}, r"hyper_kernel must .*, got .*\(4,\)"),
        (((2, 3, 5), (1, 2, 5), (2, 3, 5)), {}, r"hyper_kernel must .*, got .*\(1, 2, 5\)"),
        (((2, 3, 5), (1, 3, 5), (2, 3, 6)), {}, r"values must .*, got .*\(6,\)"),
        (((2, 3, 5), (1, 3, 5), (2, 4, 5)), {}, r"values must .*, got .*\(2, 4, 5\)"),
        (
            ((2, 3, 5, 5), (1, 3, 5, 5), (2, 3, 5, 5)),
            {"mode": "causal"},
            r"mode must .*'causal'.*, got .*\(5, 5\)",
        ),
        (((2, 3, 5), (1, 3, 5), (2, 3, 5)), {"mode": "matmul"}, r"mode must .*'matmul'.*, got .*\(5,\)"),
        (
            ((2, 3, 5, 4), (1, 3, 5, 4), (2, 3, 5, 4)),
            {"mode": "matmul"},
            r"mode must .*'matmul'.*, got .*\(5, 4\)",
        ),
        (((2, 3, 5), (1, 3, 5), (2, 3, 5)), {"mode": "linear"}, "mode must be one of .*, got 'linear'"),
    ],
)
def test_global_error_names_argument_rule_and_value(shapes, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        global_hyperzzw(*map(torch.zeros, shapes), **options)


@pytest.mark.parametrize(
    ("value", "kernel", "message"),
    [
        ((2, 3), (2, 3), r"values must .*, got .*\(2, 3\)"),
        ((2, 3, 5), (2, 3, 3, 3), r"kernel must .*, got .*\(2, 3, 3, 3\)"),
        ((2, 3, 5), (2, 4, 3), r"kernel must .*, got .*\(2, 4, 3\)"),
        ((3, 3, 5), (2, 3, 3), r"kernel must .*, got .*\(2, 3, 3\)"),
    ],
)
def test_local_error_names_argument_rule_and_value(value, kernel, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        local_hyperzzw(torch.zeros(value), torch.zeros(kernel))


@cases.over_shapes([*cases.SHAPES_1D, (2, 2, 33), (1, 1, 65)])
def test_exact_causal_equals_loops_with_gradients(shape):
    context, hyper_kernel, value = leaves = operands(*shape)
    found = global_hyperzzw(context, hyper_kernel, value, mode="causal", exact=True)
    cases.assert_same_with_gradients(found, global_by_loops(context, hyper_kernel, value, "causal"), leaves)


@cases.over_padded
def test_exact_causal_padded_equals_unpadded_with_gradients(shape, lengths):
    context, hyper_kernel, value = leaves = operands(*shape)
    pads = cases.padding(shape, lengths)
    dirty = [x.masked_fill(pads, float("nan")) for x in (context, value)]
    values = [dirty[1], 2 * dirty[1]]
    found = global_hyperzzw(dirty[0], hyper_kernel, values, mode="causal", exact=True, lengths=torch.tensor(lengths))
    truth = global_by_loops(context, hyper_kernel, value, "causal", lengths)
    cases.assert_same_with_gradients(found[0], truth, leaves)
    cases.assert_same_with_gradients(found[1], 2 * truth, leaves)


def test_exact_causal_leaks_nothing_where_the_transform_leaks():
    """One huge future value: the FFT spreads its rounding over all outputs, the blocks do not."""
    context, hyper_kernel, value = operands(1, 1, 100, dtype=torch.float32)
    spiked = value.detach().clone()
    spiked[..., 50] = 1e8
    outputs = [global_hyperzzw(context, hyper_kernel, v, mode="causal", exact=True) for v in (value, spiked)]
    assert torch.equal(outputs[0][..., :50], outputs[1][..., :50])
    leaking = [global_hyperzzw(context, hyper_kernel, v, mode="causal") for v in (value, spiked)]
    leak = (leaking[0] - leaking[1])[..., :50].abs().max()
    assert 0 < leak < 1e-6 * 1e8


def test_exact_is_refused_where_nothing_must_be_zero():
    context, hyper_kernel, value = operands(1, 1, 3)
    with pytest.raises(ValueError, match="^exact must be False unless mode is 'causal', got mode 'circular'"):
        global_hyperzzw(context, hyper_kernel, value, exact=True)


@cases.over_shapes(cases.SHAPES_1D)
@pytest.mark.parametrize("num_taps", [1, 2, 5])
def test_causal_local_equals_loops_with_gradients(shape, num_taps):
    context, _, value = operands(*shape)
    kernel = cases.normal(1, shape[1], num_taps, seed=1)
    pairs = zip(reference.samples_of(context), reference.samples_of(value), strict=True)
    truth = reference.batch_of([reference.causal_local_hyperzzw(x, v, kernel[0]) for x, v in pairs])
    found = causal_local_hyperzzw(context, value, kernel)
    cases.assert_same_with_gradients(found, truth, [context, value, kernel])


@cases.over_padded
@cases.over_junk
def test_causal_local_padded_equals_unpadded_with_gradients(shape, lengths, junk):
    context, _, value = operands(*shape)
    kernel, pads = cases.normal(1, shape[1], 3, seed=1), cases.padding(shape, lengths)
    samples = zip(reference.samples_of(context, lengths), reference.samples_of(value, lengths), strict=True)
    truth = reference.batch_of(
        [reference.causal_local_hyperzzw(x, v, kernel[0]) for x, v in samples], context.shape[2:]
    )
    dirty = [x.masked_fill(pads, junk) for x in (context, value)]
    found = causal_local_hyperzzw(*dirty, kernel, lengths=torch.tensor(lengths))
    cases.assert_same_with_gradients(found, truth, [context, value, kernel])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 2, 2)), r"context must .*1 spatial axes, got shape \(1, 2, 3, 4\)"),
        (((1, 2, 3), (1, 2, 4), (1, 2, 2)), r"values must .*\(3,\) of context, got \(4,\)"),
        (((1, 2, 3), (1, 2, 3), (1, 3, 2)), r"kernel must .*context \(1, 2, 3\), got shape \(1, 3, 2\)"),
    ],
)
def test_causal_local_error_names_argument_rule_and_value(shapes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        causal_local_hyperzzw(*(torch.zeros(shape) for shape in shapes))
