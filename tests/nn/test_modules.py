"""Modules equal the functions of the same name, and the loops; what is particular to one module."""

import pytest
import torch

from hyperseq import functional
from hyperseq.nn import (
    BatchStandardization,
    ChannelMixing,
    GlobalHyperZZW,
    GroupStandardization,
    HyperChannelInteraction,
    HyperInteraction,
    InstanceStandardization,
    LocalHyperZZW,
    RecursiveGatedUnit,
)
from tests import cases, reference
from tests.nn.layers import SLOW

SHAPES = [(3, 2, 7), (1, 1, 5), (2, 2, 2, 3), (1, 2, 1, 4), (1, 2, 2, 2, 2)]
LENGTHS = (6, 2, 7)


def build(layer, *arguments, **options):
    torch.manual_seed(0)
    return layer(*arguments, **options).double()


def lengths_for(shape):
    return [None, LENGTHS] if shape == SHAPES[0] else [None]


over_shapes_and_lengths = pytest.mark.parametrize(
    ("shape", "lengths"),
    [(shape, lengths) for shape in SHAPES for lengths in lengths_for(shape)],
    ids=lambda value: "full" if value is None else cases.shape_id(value),
)


def as_tensor(lengths):
    return None if lengths is None else torch.tensor(lengths)


# ---- channels
@cases.over_shapes(SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_channel_mixing_equals_its_function(shape, bias):
    module, x = build(ChannelMixing, shape[1], 3, bias=bias), cases.normal(*shape)
    assert (module.bias is not None) == bias
    assert torch.equal(module(x), functional.mix_channels(x, module.weight, module.bias))


# ---- global
@over_shapes_and_lengths
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_global_equals_its_function_with_the_slow_networks_kernel(shape, lengths, rate):
    size, lengths = shape[2:], as_tensor(lengths)
    module = build(GlobalHyperZZW, len(size), shape[1], size=tuple(n + 2 for n in size), **SLOW)
    context, values = cases.normal(*shape), cases.normal(*shape, seed=1)
    kernel = module.slow_network(size, rate=rate)
    truth = functional.global_hyperzzw(context, kernel, values, lengths=lengths)
    assert torch.equal(module(context, values, lengths=lengths, rate=rate), truth)
    assert torch.equal(module(context, values, lengths=lengths, hyper_kernel=kernel), truth)


@pytest.mark.parametrize(("mode", "size"), [("causal", (7,)), ("product", (7,)), ("matmul", (3, 3))])
def test_global_modes_equal_their_functions(mode, size):
    module = build(GlobalHyperZZW, len(size), 2, size=size, mode=mode, **SLOW)
    context, values = cases.normal(3, 2, *size), cases.normal(3, 2, *size, seed=1)
    truth = functional.global_hyperzzw(context, module.slow_network(), values, mode=mode)
    assert torch.equal(module(context, values), truth)


def test_global_takes_several_values():
    module, context = build(GlobalHyperZZW, 1, 2, size=7, **SLOW), cases.normal(3, 2, 7)
    values = [cases.normal(3, 2, 7, seed=seed) for seed in (1, 2)]
    together = module(context, values)
    assert isinstance(together, list)
    for found, value in zip(together, values, strict=True):
        cases.assert_close(found, module(context, value), tolerance=1e-12)


# ---- local
@over_shapes_and_lengths
@pytest.mark.parametrize("kernel_per", ["sample", "batch"])
def test_local_equals_loops_with_gradients(shape, lengths, kernel_per):
    size = shape[2:]
    kernel_size = (3, 5, 1)[: len(size)]
    module = build(LocalHyperZZW, len(size), shape[1], kernel_size=kernel_size, kernel_per=kernel_per, **SLOW)
    x, values = cases.normal(*shape), cases.normal(*shape, seed=1)
    kernels = reference.local_kernels(module, reference.samples_of(x, lengths), kernel_size, kernel_per=kernel_per)
    slid = [reference.local_hyperzzw(v, k) for v, k in zip(reference.samples_of(values, lengths), kernels, strict=True)]
    found = module(x, values, lengths=as_tensor(lengths))
    cases.assert_same_with_gradients(found, reference.batch_of(slid, size), [x, values, *module.parameters()])

    made = module.kernel(x, lengths=as_tensor(lengths))
    assert made.shape == (1 if kernel_per == "batch" else shape[0], shape[1], *kernel_size)
    cases.assert_close(made.expand(shape[0], *made.shape[1:]), torch.stack(kernels))


def test_local_kernel_is_one_a_sample_and_follows_its_context():
    module, x = build(LocalHyperZZW, 1, 2, kernel_size=5, **SLOW), cases.normal(2, 2, 9)
    other = torch.cat([x[:1], -x[1:]])
    before, after = module.kernel(x), module.kernel(other)
    cases.assert_close(after[0], before[0], tolerance=1e-12)
    assert not torch.allclose(after[1], before[1], atol=1e-3)


@pytest.mark.parametrize(("num_spatial_dims", "size"), [(1, (11,)), (2, (6, 7))])
def test_local_kernel_at_rate_r_has_every_rth_tap_from_the_center_times_the_step(num_spatial_dims, size):
    module, x = build(LocalHyperZZW, num_spatial_dims, 2, kernel_size=7, **SLOW), cases.normal(2, 2, *size)
    whole = module.kernel(x)
    for rate, taps in ((2, [1, 3, 5]), (3, [0, 3, 6]), (4, [3])):
        every = whole[..., taps] if num_spatial_dims == 1 else whole[..., taps, :][..., taps]
        cases.assert_close(module.kernel(x, rate=float(rate)), rate**num_spatial_dims * every)


def test_local_kernel_at_half_the_rate_has_the_same_taps_between_others():
    module, x = build(LocalHyperZZW, 1, 2, kernel_size=5, **SLOW), cases.normal(2, 2, 9)
    finer = module.kernel(x, rate=0.5)
    assert finer.shape[-1] == 9
    cases.assert_close(2.0 * finer[..., ::2], module.kernel(x))


# ---- gates, interactions
@over_shapes_and_lengths
def test_recursive_gated_unit_equals_loops_with_gradients(shape, lengths):
    module, x = build(RecursiveGatedUnit, shape[1]), cases.normal(*shape)
    truth = [reference.recursive_gated_unit(module, s) for s in reference.samples_of(x, lengths)]
    found = module(x, lengths=as_tensor(lengths))
    leaves = [x, *module.parameters()]
    cases.assert_same_with_gradients(found, reference.batch_of(truth, shape[2:]), leaves, tolerance=1e-8)


@over_shapes_and_lengths
def test_hyper_channel_interaction_equals_loops_with_gradients(shape, lengths):
    module, x = build(HyperChannelInteraction, shape[1], **SLOW), cases.normal(*shape)
    truth = [reference.hyper_channel(module, s) for s in reference.samples_of(x, lengths)]
    found = module(x, lengths=as_tensor(lengths))
    cases.assert_same_with_gradients(found, reference.batch_of(truth, shape[2:]), [x, *module.parameters()])
    kernel = module.slow_network().flatten()
    assert torch.equal(found, functional.hyper_channel_interaction(x, kernel, lengths=as_tensor(lengths)))


@over_shapes_and_lengths
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_hyper_interaction_equals_loops_with_gradients(shape, lengths, rate):
    extent = tuple(n + 2 for n in shape[2:])
    module = build(HyperInteraction, len(extent), shape[1], size=extent, **SLOW)
    x, high_level = cases.normal(*shape), cases.normal(*shape, seed=1)
    pairs = zip(reference.samples_of(x, lengths), reference.samples_of(high_level, lengths), strict=True)
    truth = [reference.hyper(module, s, y, extent=extent, rate=rate) for s, y in pairs]
    found = module(x, high_level, lengths=as_tensor(lengths), rate=rate)
    leaves = [x, high_level, *module.parameters()]
    cases.assert_same_with_gradients(found, reference.batch_of(truth, shape[2:]), leaves)


def test_kernels_of_scores_have_unit_variance_and_no_factor_of_the_extent():
    wide, narrow = HyperChannelInteraction(64), HyperInteraction(1, 4, size=400)
    assert not wide.slow_network.summed
    assert not narrow.channel_network.summed
    assert not narrow.spatial_network.summed
    assert GlobalHyperZZW(1, 4, size=8).slow_network.summed
    assert LocalHyperZZW(1, 4, kernel_size=3).slow_network.summed


# ---- standardization
@over_shapes_and_lengths
def test_instance_standardization_equals_its_function(shape, lengths):
    x, lengths = cases.normal(*shape), as_tensor(lengths)
    truth = functional.instance_standardize(x, lengths=lengths, eps=0.3)
    assert torch.equal(InstanceStandardization(eps=0.3)(x, lengths=lengths), truth)
    if x.dim() == 3:
        truth = functional.instance_standardize(x, lengths=lengths, causal=True)
        assert torch.equal(InstanceStandardization(causal=True)(x, lengths=lengths), truth)


@over_shapes_and_lengths
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_batch_standardization_equals_loops_in_training_and_evaluation(shape, lengths, statistics):
    module = build(BatchStandardization, shape[1], statistics=statistics, eps=0.01)
    x, samples = 2.0 + cases.normal(*shape), reference.samples_of(2.0 + cases.normal(*shape), lengths)
    by_batch = reference.batch_of(reference.batch_standardize(samples, eps=0.01), shape[2:])
    cases.assert_close(module(x, lengths=as_tensor(lengths)), by_batch)
    assert torch.equal(
        build(BatchStandardization, shape[1], eps=0.01)(x, lengths=as_tensor(lengths)),
        functional.batch_standardize(x, lengths=as_tensor(lengths), eps=0.01),
    )

    # one batch has all the weight, whatever the statistics began with; the variance is the biased one
    mean, var = reference.batch_moments(samples)
    cases.assert_close(module.running_mean, mean)
    cases.assert_close(module.running_var, var)

    module.eval()
    running = reference.batch_standardize(samples, mean, var, eps=0.01)
    truth = by_batch if statistics == "batch" else reference.batch_of(running, shape[2:])
    cases.assert_close(module(x, lengths=as_tensor(lengths)), truth)
    cases.assert_close(module.running_mean, mean)


@over_shapes_and_lengths
@pytest.mark.parametrize("num_groups", [1, 2, 3, 6])
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_group_standardization_equals_loops_in_training_and_evaluation(shape, lengths, num_groups, statistics):
    shape = (shape[0], 6, *shape[2:])
    module = build(GroupStandardization, 6, num_groups=num_groups, statistics=statistics, eps=0.01)
    x, options = 2.0 + cases.normal(*shape), {"num_groups": num_groups, "eps": 0.01}
    samples = reference.samples_of(x, lengths)
    by_batch = reference.batch_of(reference.group_standardize(samples, **options), shape[2:])
    found = module(x, lengths=as_tensor(lengths))
    cases.assert_close(found, by_batch)
    cases.assert_close(found, functional.group_standardize(x, lengths=as_tensor(lengths), **options), tolerance=1e-12)

    module.eval()
    width = 6 // num_groups
    even = [c for c in range(6) if c // width % 2 == 0]
    mean, var = reference.batch_moments([sample[even] for sample in samples])
    running = reference.group_standardize(samples, mean=mean, var=var, **options)
    truth = by_batch if statistics == "batch" else reference.batch_of(running, shape[2:])
    cases.assert_close(module(x, lengths=as_tensor(lengths)), truth)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_running_statistics_are_the_true_weighted_mean_of_all_batches(momentum, steps):
    """The newest batch weighs momentum, each older one less by 1 - momentum; with None all weigh alike."""
    module = build(BatchStandardization, 2, momentum=momentum)
    batches = [(seed + 1) * cases.normal(4, 2, 5, seed=seed) + seed for seed in range(steps)]
    for batch in batches:
        module(batch)
    weights = [1.0 if momentum is None else (1 - momentum) ** (steps - 1 - i) for i in range(steps)]
    moments = [reference.batch_moments(reference.samples_of(batch)) for batch in batches]
    for found, part in ((module.running_mean, 0), (module.running_var, 1)):
        truth = sum(weight * each[part] for weight, each in zip(weights, moments, strict=True)) / sum(weights)
        cases.assert_close(found, truth)
        assert not found.requires_grad
    assert module.num_batches_tracked == steps


# ---- errors
@pytest.mark.parametrize(
    ("layer", "arguments", "options", "message"),
    [
        (ChannelMixing, (0, 3), {}, "in_channels must .*, got 0"),
        (ChannelMixing, (3, -1), {}, "out_channels must .*, got -1"),
        (GlobalHyperZZW, (1, 0), {"size": 4}, "channels must .*, got 0"),
        (GlobalHyperZZW, (1, 2), {"size": 0}, "size must .*, got .*0"),
        (GlobalHyperZZW, (0, 2), {"size": 4}, "num_spatial_dims must .*, got 0"),
        (GlobalHyperZZW, (1, 2), {"size": 4, "mode": "cyclic"}, "mode must be one of .*, got 'cyclic'"),
        (GlobalHyperZZW, (2, 2), {"size": 4, "mode": "causal"}, "mode must .*'causal'.*, got .*"),
        (GlobalHyperZZW, (1, 2), {"size": 4, "mode": "matmul"}, "mode must .*'matmul'.*, got .*"),
        (
            GlobalHyperZZW,
            (2, 2),
            {"size": (4, 5), "mode": "matmul"},
            r"mode must .*'matmul'.*, got .*\(4, 5\)",
        ),
        (LocalHyperZZW, (1, 0), {"kernel_size": 3}, "channels must .*, got 0"),
        (LocalHyperZZW, (1, 2), {"kernel_size": 4}, "kernel_size must .*odd.*, got .*4"),
        (LocalHyperZZW, (2, 2), {"kernel_size": (3, 2)}, r"kernel_size must .*odd.*, got .*\(3, 2\)"),
        (LocalHyperZZW, (1, 2), {"kernel_size": 0}, "kernel_size must .*, got .*0"),
        (LocalHyperZZW, (1, 2), {"kernel_size": -3}, "kernel_size must .*, got .*-3"),
        (LocalHyperZZW, (1, 2), {"kernel_size": 3, "kernel_per": "all"}, "kernel_per must be one of .*, got 'all'"),
        (RecursiveGatedUnit, (0,), {}, "channels must .*, got 0"),
        (HyperChannelInteraction, (0,), {}, "channels must .*, got 0"),
        (HyperInteraction, (1, 0), {"size": 4}, "channels must .*, got 0"),
        (HyperInteraction, (1, 2), {"size": -4}, "size must .*, got .*-4"),
        (BatchStandardization, (0,), {}, "channels must .*, got 0"),
        (BatchStandardization, (2,), {"statistics": "none"}, "statistics must be one of .*, got 'none'"),
        (GroupStandardization, (5,), {}, "num_groups must divide .*5.*, got 2"),
        (GroupStandardization, (4,), {"num_groups": 3}, "num_groups must divide .*4.*, got 3"),
        (GroupStandardization, (4,), {"num_groups": 0}, "num_groups must .*, got 0"),
    ],
)
def test_construction_error_names_argument_rule_and_value(layer, arguments, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        layer(*arguments, **options)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: GlobalHyperZZW(1, 2, size=7), r"values must .*, got .*\(6,\)"),
        (lambda: LocalHyperZZW(1, 2, kernel_size=3), r"values must .*, got .*\(6,\)"),
        (lambda: HyperInteraction(1, 2, size=7), r"high_level must .*, got .*\(6,\)"),
    ],
)
def test_a_second_input_of_another_size_is_refused(layer, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        layer()(torch.zeros(3, 2, 7), torch.zeros(3, 2, 6))


def test_causal_instance_standardization_refuses_two_axes():
    with pytest.raises(ValueError, match="^causal must .*one spatial axis.*, got .*"):
        InstanceStandardization(causal=True)(torch.zeros(2, 3, 4, 4))


def test_options_are_keyword_only():
    for call in (
        lambda: GlobalHyperZZW(1, 2, 7),
        lambda: LocalHyperZZW(1, 2, 3),
        lambda: HyperChannelInteraction(2, 8),
        lambda: BatchStandardization(2, "batch"),
        lambda: GroupStandardization(4, 2),
        lambda: ChannelMixing(2, 3, False),
    ):
        with pytest.raises(TypeError, match="positional"):
            call()
