"""Laws of the three standardisations: by instance, by batch, by groups of channels."""

import pytest
import torch

from hyperseq.functional import batch_standardize, group_standardize, instance_standardize
from tests import cases, reference


def instance_by_loops(x, lengths=None, **options):
    return reference.batch_of(
        [reference.instance_standardize(s, **options) for s in reference.samples_of(x, lengths)], x.shape[2:]
    )


def batch_by_loops(x, lengths=None, **options):
    return reference.batch_of(reference.batch_standardize(reference.samples_of(x, lengths), **options), x.shape[2:])


def groups_by_loops(x, lengths=None, **options):
    return reference.batch_of(reference.group_standardize(reference.samples_of(x, lengths), **options), x.shape[2:])


@cases.over_shapes(cases.SHAPES)
def test_instance_equals_loops_with_gradients(shape):
    x = cases.normal(*shape)
    cases.assert_same_with_gradients(instance_standardize(x), instance_by_loops(x), [x], tolerance=1e-8)


@cases.over_shapes(cases.SHAPES_1D)
def test_causal_instance_equals_loops_with_gradients(shape):
    x = cases.normal(*shape)
    found, truth = instance_standardize(x, causal=True), instance_by_loops(x, causal=True)
    cases.assert_same_with_gradients(found, truth, [x], tolerance=1e-8)


@cases.over_shapes(cases.SHAPES)
def test_batch_equals_loops_with_gradients(shape):
    x = cases.normal(*shape)
    cases.assert_same_with_gradients(batch_standardize(x), batch_by_loops(x), [x], tolerance=1e-8)


@cases.over_shapes(cases.SHAPES)
def test_batch_with_given_statistics_equals_loops_with_gradients(shape):
    x, mean, root = cases.normal(*shape), cases.normal(shape[1], seed=1), cases.normal(shape[1], seed=2)
    given = {"mean": mean.detach(), "var": root.detach().square()}
    cases.assert_same_with_gradients(batch_standardize(x, **given), batch_by_loops(x, **given), [x])


@pytest.mark.parametrize("num_groups", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(3, 6, 5), (2, 6, 2, 3), (1, 6, 1), (2, 6, 1, 2, 2)], ids=cases.shape_id)
def test_groups_equal_loops_with_gradients(shape, num_groups):
    x = cases.normal(*shape)
    found, truth = group_standardize(x, num_groups=num_groups), groups_by_loops(x, num_groups=num_groups)
    cases.assert_same_with_gradients(found, truth, [x], tolerance=1e-8)


@pytest.mark.parametrize("num_groups", [1, 2, 3, 6])
def test_groups_with_given_statistics_equal_loops_with_gradients(num_groups):
    x, even = cases.normal(3, 6, 5), 6 // num_groups * ((num_groups + 1) // 2)
    given = {
        "num_groups": num_groups,
        "mean": cases.normal(even, seed=1).detach(),
        "var": cases.normal(even, seed=2).detach().square(),
    }
    cases.assert_same_with_gradients(group_standardize(x, **given), groups_by_loops(x, **given), [x])


def test_two_groups_are_the_default():
    x = cases.normal(3, 6, 5)
    assert torch.equal(group_standardize(x), group_standardize(x, num_groups=2))


FORMS = {
    "instance": (instance_standardize, instance_by_loops, {}),
    "causal": (instance_standardize, instance_by_loops, {"causal": True}),
    "batch": (batch_standardize, batch_by_loops, {}),
    "given": (
        batch_standardize,
        batch_by_loops,
        {"mean": torch.zeros(4).double(), "var": torch.ones(4).double() / 2},
    ),
    "groups": (group_standardize, groups_by_loops, {"num_groups": 4}),
}
over_forms = pytest.mark.parametrize("form", FORMS)


@over_forms
@cases.over_junk
@pytest.mark.parametrize("lengths", [(7, 1, 4), (6, 3, 5)], ids=cases.shape_id)
def test_padded_equals_unpadded_with_gradients(form, junk, lengths):
    standardize, by_loops, options = FORMS[form]
    x = cases.normal(3, 4, 7)
    dirty = x.masked_fill(cases.padding(x.shape, lengths), junk)
    found = standardize(dirty, lengths=torch.tensor(lengths), **options)
    cases.assert_same_with_gradients(found, by_loops(x, lengths, **options), [x], tolerance=1e-8)


@over_forms
def test_eps_is_added_to_the_variance(form):
    standardize, by_loops, options = FORMS[form]
    x = cases.normal(3, 4, 7)
    cases.assert_close(standardize(x, eps=0.5, **options), by_loops(x, eps=0.5, **options))
    assert not torch.allclose(standardize(x, eps=0.5, **options), standardize(x, **options), atol=1e-3)


@pytest.mark.parametrize("form", ["instance", "batch", "groups"])
def test_result_has_mean_zero_and_variance_one(form):
    standardize, _, options = FORMS[form]
    y = standardize(5.0 + 3.0 * cases.normal(8, 4, 40), **options)
    axes = (2,) if form == "instance" else (0, 2)
    cases.assert_close(y.mean(axes), torch.zeros_like(y.mean(axes)), tolerance=1e-6)
    cases.assert_close(y.var(axes, correction=0), torch.ones_like(y.mean(axes)), tolerance=1e-4)


@pytest.mark.parametrize("form", ["instance", "batch", "given", "groups"])
def test_1d_equals_2d_with_dummy_axis(form):
    standardize, _, options = FORMS[form]
    x = cases.normal(3, 4, 7)
    flat = standardize(x, **options)
    for axis in (2, 3):
        raised = standardize(x.unsqueeze(axis), **options).squeeze(axis)
        cases.assert_same_with_gradients(raised, flat, [x], tolerance=1e-8)


def test_causal_result_ignores_the_future():
    x = cases.normal(1, 2, 9)
    y = instance_standardize(x, causal=True)
    for t in range(9):
        gradient = torch.autograd.grad(y[..., t].square().sum(), x, retain_graph=True)[0]
        assert (gradient[..., t + 1 :] == 0).all()
    assert (y[..., 1:] != 0).all()


@over_forms
def test_a_large_mean_costs_no_digits_of_the_deviation(form):
    standardize, _, options = FORMS[form]
    x = (1000.0 + cases.normal(4, 4, 200)).detach()
    options = {k: v.float() if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    double = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    # float32 holds a number near 1000 to 6e-5, so its own rounding is all that may be lost
    assert cases.relative_error(standardize(x.float(), **options), standardize(x, **double)) < 1e-3


@over_forms
def test_a_constant_channel_becomes_zero_and_not_nan(form):
    standardize, by_loops, options = FORMS[form]
    x = torch.full((2, 4, 5), 3.0, dtype=torch.float64, requires_grad=True)
    y = standardize(x, **options)
    cases.assert_same_with_gradients(y, by_loops(x, **options), [x], tolerance=1e-8)


@over_forms
@cases.over_half_types
@pytest.mark.parametrize("lengths", [None, (999, 700)], ids=["full", "lengths"])
def test_half_types_keep_their_type_and_lose_only_their_own_digits(form, dtype, lengths):
    standardize, _, options = FORMS[form]
    x = (3.0 + cases.normal(2, 4, 1001)).detach().to(dtype)
    lengths = None if lengths is None else torch.tensor(lengths)
    own = {k: v.to(torch.float32) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    found = standardize(x, lengths=lengths, **own)
    assert found.dtype == dtype
    truth = standardize(x.double(), lengths=lengths, **options)
    assert cases.relative_error(found, truth) < 1.1 * torch.finfo(dtype).eps


def test_float16_sums_do_not_overflow():
    x = torch.full((1, 2, 70_001), 2.0).half()
    x[..., ::2] = 4.0
    lengths = torch.tensor([70_000])
    for standardize in (instance_standardize, batch_standardize, group_standardize):
        y = standardize(x, lengths=lengths).double()
        assert abs(float(y[..., :70_000].square().mean()) - 1.0) < 0.01


@over_forms
def test_float64_stays_float64(form):
    standardize, _, options = FORMS[form]
    assert standardize(cases.normal(2, 4, 5), **options).dtype == torch.float64


@over_forms
def test_non_contiguous_input_changes_nothing(form):
    standardize, _, options = FORMS[form]
    x = cases.normal(3, 4, 7).detach()
    cases.assert_close(standardize(x.mT.contiguous().mT, **options), standardize(x, **options), tolerance=1e-12)


@over_forms
@pytest.mark.parametrize("lengths", [None, (3, 2)], ids=["full", "lengths"])
def test_gradcheck_once_and_twice(form, lengths):
    standardize, _, options = FORMS[form]
    lengths = None if lengths is None else torch.tensor(lengths)
    x = cases.normal(2, 4, 3)
    assert torch.autograd.gradcheck(lambda x: standardize(x, lengths=lengths, **options), x)
    assert torch.autograd.gradgradcheck(lambda x: standardize(x, lengths=lengths, **options), x)


@pytest.mark.parametrize(
    ("standardize", "shape", "options", "message"),
    [
        (instance_standardize, (2, 3), {}, r"x must .*, got .*\(2, 3\)"),
        (instance_standardize, (2, 3, 4, 4), {"causal": True}, r"causal must .*one spatial axis.*, got .*"),
        (batch_standardize, (2, 3), {}, r"x must .*, got .*\(2, 3\)"),
        (batch_standardize, (2, 3, 4), {"mean": torch.zeros(3)}, "var must .*, got .*"),
        (
            batch_standardize,
            (2, 3, 4),
            {"mean": torch.zeros(2), "var": torch.ones(2)},
            r"(x|mean) must .*, got .*",
        ),
        (
            batch_standardize,
            (2, 3, 4),
            {"mean": torch.zeros(3), "var": torch.ones(2)},
            r"var must .*, got .*",
        ),
        (group_standardize, (2, 3, 4), {"num_groups": 2}, "num_groups must divide .*3.*, got 2"),
        (group_standardize, (2, 3, 4), {"num_groups": 0}, "num_groups must .*, got 0"),
    ],
)
def test_error_names_argument_rule_and_value(standardize, shape, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        standardize(torch.zeros(shape), **options)


@pytest.mark.parametrize("mean", [0.0, 1e3, -1e5], ids=["zero", "thousand", "minus-hundred-thousand"])
@pytest.mark.parametrize("start", ["alike", "apart"])
def test_causal_statistics_of_long_signals_in_float32_are_those_of_float64(mean, start):
    """A large mean, or a first value far from it, costs no digits beyond those that the input lacks."""
    x = (cases.normal(1, 2, 65536).detach() + mean).float()
    if start == "apart":
        x[..., 0] = 0
    x.requires_grad_()
    wide = x.detach().double().requires_grad_()
    y, truth = instance_standardize(x, causal=True), instance_standardize(wide, causal=True)
    resolution = torch.finfo(torch.float32).eps
    cases.assert_close(y.double(), truth, tolerance=65536**0.5 * resolution)
    cotangent = cases.normal(1, 2, 65536, seed=1).detach()
    (gradient,) = torch.autograd.grad(y, x, cotangent.float())
    (true_gradient,) = torch.autograd.grad(truth, wide, cotangent)
    cases.assert_close(gradient.double(), true_gradient, tolerance=1e-4)
