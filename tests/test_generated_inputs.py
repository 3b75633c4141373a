"""Generated inputs over functions, layers and Terminator: equal to the float64 loops, or a clear error.

`make test` tries 200 inputs, `make fuzz` ten thousand.
"""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperseq import Terminator
from hyperseq import functional as F
from tests import cases, reference
from tests.nn.layers import LAYERS, WITH_INPUTS

TYPES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""Tolerance of each type, relative to the largest entry of the truth."""

LAYOUTS = ("plain", "channels last", "every second", "one sample expanded", "part of a larger tensor")


def examples(count):
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


def tensor(draw, *shape, dtype):
    """Draw numbers in one of many layouts of memory."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    layout = draw(st.sampled_from(LAYOUTS))
    if layout == "channels last":
        return x.movedim(1, -1).contiguous().movedim(-1, 1) if x.dim() > 1 else x
    if layout == "every second":
        return torch.stack([x, x + 1], dim=-1).flatten(-2)[..., ::2]
    if layout == "one sample expanded":
        return x[:1].expand(x.shape)
    if layout == "part of a larger tensor":
        return torch.nn.functional.pad(x, (1, 2))[..., 1:-2]
    return x


def shape(draw):
    """Draw batch, channels and one to three spatial axes."""
    rank = draw(st.integers(1, 3))
    longest = {1: 12, 2: 5, 3: 3}[rank]
    size = draw(st.lists(st.integers(1, longest), min_size=rank, max_size=rank))
    return draw(st.integers(1, 3)), draw(st.integers(1, 4)), *size


def lengths_for(draw, batch, *size):
    """Draw lengths of a batch of sequences, or None."""
    if len(size) > 1 or draw(st.booleans()):
        return None
    return torch.tensor(draw(st.lists(st.integers(1, size[0]), min_size=batch, max_size=batch)))


def spoil(x, lengths):
    """Put NaN into the padding."""
    if lengths is None:
        return x
    return x.masked_fill(cases.padding(x.shape, lengths.tolist()), float("nan"))


def by_samples(function, tensors, lengths, size):
    """Apply a function of the loops to each sample, in float64."""
    rows = [reference.samples_of(x.double(), lengths) for x in tensors]
    return reference.batch_of([function(*sample) for sample in zip(*rows, strict=True)], size)


# ---- functions: each draws its arguments, and returns them with the function and the loops
def convolution(draw, dtype):
    batch, channels, *size = shape(draw)
    modes = ["circular", "same"] + (["causal"] if len(size) == 1 else [])
    mode = draw(st.sampled_from(modes))
    kernel_size = size if mode == "circular" else [draw(st.integers(1, n + 1)) for n in size]
    signal = tensor(draw, batch, channels, *size, dtype=dtype)
    kernel = tensor(draw, draw(st.sampled_from([1, batch])), channels, *kernel_size, dtype=dtype)
    function = draw(st.sampled_from([F.fft_conv, F.direct_conv]))
    kernels = kernel.expand(batch, *kernel.shape[1:])
    truth = by_samples(lambda s, k: reference.convolve(s, k, mode), [signal, kernels], None, size)
    return lambda x: function(x, kernel, mode=mode), signal, truth


def global_operator(draw, dtype):
    batch, channels, *size = shape(draw)
    modes = ["circular", "product"] + (["causal"] if len(size) == 1 else [])
    mode = draw(st.sampled_from(modes + (["matmul"] if len(size) == 2 and size[0] == size[1] else [])))
    context, values = (tensor(draw, batch, channels, *size, dtype=dtype) for _ in range(2))
    kernel = tensor(draw, 1, channels, *size, dtype=dtype)
    lengths = lengths_for(draw, batch, *size)
    truth = by_samples(
        lambda x, v: reference.global_hyperzzw(x, kernel[0].double(), v, mode), [context, values], lengths, size
    )
    values = spoil(values, lengths)
    options = {"mode": mode, "lengths": lengths, "exact": mode == "causal" and draw(st.booleans())}
    return lambda x: F.global_hyperzzw(x, kernel, values, **options), spoil(context, lengths), truth


def local_operator(draw, dtype):
    batch, channels, *size = shape(draw)
    values = tensor(draw, batch, channels, *size, dtype=dtype)
    kernel = tensor(draw, batch, channels, *[draw(st.integers(1, 5)) for _ in size], dtype=dtype)
    truth = by_samples(reference.local_hyperzzw, [values, kernel], None, size)
    return lambda x: F.local_hyperzzw(x, kernel), values, truth


def causal_window(draw, dtype):
    batch, channels, size = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 12))
    context, values = (tensor(draw, batch, channels, size, dtype=dtype) for _ in range(2))
    kernel = tensor(draw, draw(st.sampled_from([1, batch])), channels, draw(st.integers(1, 5)), dtype=dtype)
    lengths = lengths_for(draw, batch, size)
    rows = zip(*(reference.samples_of(x.double(), lengths) for x in (context, values)), strict=True)
    kernels = kernel.double().expand(batch, -1, -1)
    truth = [reference.causal_local_hyperzzw(x, v, k) for (x, v), k in zip(rows, kernels, strict=True)]
    values = spoil(values, lengths)
    return (
        lambda x: F.causal_local_hyperzzw(x, values, kernel, lengths=lengths),
        spoil(context, lengths),
        reference.batch_of(truth, [size]),
    )


def mixing(draw, dtype):
    batch, channels, *size = shape(draw)
    x, other = (tensor(draw, batch, channels, *size, dtype=dtype) for _ in range(2))
    parts = draw(st.integers(1, 2))
    weight = tensor(draw, draw(st.integers(1, 4)), parts * channels, dtype=dtype)
    bias = tensor(draw, weight.shape[0], dtype=dtype) if draw(st.booleans()) else None
    whole = torch.cat([x, other][:parts], dim=1)
    bias64 = None if bias is None else bias.double()
    truth = by_samples(lambda s: reference.mix_channels(s, weight.double(), bias64), [whole], None, size)
    return lambda x: F.mix_channels([x, other][:parts] if parts > 1 else x, weight, bias), x, truth


def means(draw, dtype):
    batch, channels, *size = shape(draw)
    x, lengths = tensor(draw, batch, channels, *size, dtype=dtype), lengths_for(draw, batch, *size)
    if len(size) == 1 and draw(st.booleans()):
        truth = by_samples(reference.cumulative_mean, [x], lengths, size)
        return lambda x: F.cumulative_mean(x, lengths=lengths), spoil(x, lengths), truth
    if draw(st.booleans()):
        truth = torch.stack([reference.spatial_mean(s) for s in reference.samples_of(x.double(), lengths)])
        return lambda x: F.spatial_mean(x, lengths=lengths), spoil(x, lengths), truth
    bins = tuple(draw(st.integers(1, n + 2)) for n in size)
    pooled = [reference.adaptive_mean_pool(s, bins) for s in reference.samples_of(x.double(), lengths)]
    return lambda x: F.adaptive_mean_pool(x, bins, lengths=lengths), spoil(x, lengths), torch.stack(pooled)


def standardization(draw, dtype):
    batch, channels, *size = shape(draw)
    x, lengths = tensor(draw, batch, channels, *size, dtype=dtype), lengths_for(draw, batch, *size)
    eps = draw(st.sampled_from([1e-5, 0.1]))
    # where all entries are alike, what a half type rounds is divided by the root of eps
    eps = max(eps, 0.1) if dtype in cases.HALF_TYPES else eps
    samples = reference.samples_of(x.double(), lengths)
    form = draw(st.sampled_from(["instance", "causal", "batch", "groups"]))
    if form == "batch":
        truth = reference.batch_standardize(samples, eps=eps)
        function = F.batch_standardize
    elif form == "groups":
        groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
        truth = reference.group_standardize(samples, groups, eps=eps)
        return (
            lambda x: F.group_standardize(x, num_groups=groups, lengths=lengths, eps=eps),
            spoil(x, lengths),
            reference.batch_of(truth, size),
        )
    else:
        causal = form == "causal" and len(size) == 1
        truth = [reference.instance_standardize(s, causal, eps) for s in samples]

        def function(x, **options):
            return F.instance_standardize(x, causal=causal, **options)

    return lambda x: function(x, lengths=lengths, eps=eps), spoil(x, lengths), reference.batch_of(truth, size)


def interaction(draw, dtype):
    batch, channels, *size = shape(draw)
    x, other = (tensor(draw, batch, channels, *size, dtype=dtype) for _ in range(2))
    kernel, lengths = tensor(draw, channels, dtype=dtype), lengths_for(draw, batch, *size)
    if draw(st.booleans()):
        truth = by_samples(
            lambda x, v: reference.hyper_channel_interaction(x, kernel.double(), v), [x, other], lengths, size
        )
        other = spoil(other, lengths)
        return (
            lambda x: F.hyper_channel_interaction(x, kernel, values=other, lengths=lengths),
            spoil(x, lengths),
            truth,
        )
    spatial = tensor(draw, 1, 1, *size, dtype=dtype)
    truth = by_samples(
        lambda x, y: reference.hyper_interaction(x, y, kernel.double(), spatial[0].double()), [x, other], lengths, size
    )
    other, kernels = spoil(other, lengths), {"channel_kernel": kernel, "spatial_kernel": spatial}
    return lambda x: F.hyper_interaction(x, other, **kernels, lengths=lengths), spoil(x, lengths), truth


FUNCTIONS = [
    convolution,
    global_operator,
    local_operator,
    causal_window,
    mixing,
    means,
    standardization,
    interaction,
]

WRONG = {
    "integers": lambda x: x.nan_to_num().long(),
    "complex": lambda x: torch.complex(x.float(), x.float()),
    "no channels": lambda x: x[:, 0] if x.dim() == 3 else x[0, 0, 0],
    "empty": lambda x: x[..., :0],
    "list": lambda x: x.tolist(),
}


def try_function(data):
    """Equal to the loops, differentiable, and wrong inputs refused by name."""
    dtype = data.draw(st.sampled_from(list(TYPES)), label="type")
    make = data.draw(st.sampled_from(FUNCTIONS), label="function")
    function, x, truth = make(data.draw, dtype)
    if data.draw(st.integers(0, 4), label="wrong below 1") == 0:
        kind = data.draw(st.sampled_from(list(WRONG)), label="kind")
        with pytest.raises(ValueError, match=r"^\w+ must .*, got "):
            function(WRONG[kind](x))
        return
    x = x.detach().requires_grad_()
    found = function(x)
    assert found.dtype == dtype
    cases.assert_close(found.double(), truth, tolerance=TYPES[dtype])
    (gradient,) = torch.autograd.grad(found.double().square().sum(), x)
    assert gradient.isfinite().all()


def try_layer(data):
    """Any batch, size, type and layout equals the samples one by one in float64."""
    own = [name for name in WITH_INPUTS if LAYERS[name].uses_batch != "always"]
    name = data.draw(st.sampled_from(own), label="layer")
    layer = LAYERS[name]
    batch, dtype = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([torch.float64, torch.float32]))
    size = [data.draw(st.integers(1, 11 if len(layer.size) == 1 else 6)) for _ in layer.size]
    size = [size[0]] * len(size) if "matmul" in name else size
    inputs = [tensor(data.draw, batch, 4, *size, dtype=dtype) for _ in range(layer.num_inputs)]
    lengths = lengths_for(data.draw, batch, *size) if layer.takes_lengths else None
    module, twin = layer.make(dtype=dtype), layer.make()
    padded = [spoil(x, lengths) for x in inputs]
    found = module(*padded) if lengths is None else module(*padded, lengths=lengths)
    rows = [reference.samples_of(x.double(), lengths) for x in inputs]
    truth = [twin(*[s[None] for s in sample])[0] for sample in zip(*rows, strict=True)]
    # a standardization of few entries that are nearly alike multiplies rounding by 1 / sqrt(eps)
    tolerance = {torch.float64: 1e-8, torch.float32: 2e-3}[dtype]
    cases.assert_close(found.double(), reference.batch_of(truth, size), tolerance=tolerance)


def try_terminator(data):
    """Options, lengths and sizes that differ from the training size: equal to the table written as loops."""
    draw = data.draw
    batch, rank = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    size = tuple(draw(st.integers(1, {1: 7, 2: 3}[rank])) for _ in range(rank))
    mode = draw(st.sampled_from(["circular", "product", "matmul"] if len(set(size)) == 1 < rank else ["circular"]))
    known = {
        "mode": mode,
        "local_kernel_sizes": tuple(draw(st.lists(st.sampled_from([1, 3, 5]), max_size=2))),
        "kernel_per": draw(st.sampled_from(["sample", "batch"])),
    }
    earlier, training = draw(st.booleans()), draw(st.booleans())
    channels = [draw(st.integers(1, 3)), *(2 * draw(st.integers(1, 2)) for _ in range(draw(st.integers(1, 2))))]
    torch.manual_seed(draw(st.integers(0, 1000)))
    extent = tuple(n + draw(st.integers(0, 2)) for n in size) if mode != "matmul" else size
    model = Terminator(
        rank,
        2,
        size=extent,
        channels=channels,
        concatenate_earlier=earlier,
        slow_hidden_channels=3,
        slow_num_layers=1,
        omega_0=2.0,
        **known,
    )
    model = model.double().train(training)
    x, lengths = tensor(draw, batch, 2, *size, dtype=torch.float64), lengths_for(draw, batch, *size)
    truth = reference.terminator(
        model,
        reference.samples_of(x, lengths),
        size=extent,
        by_batch=training,
        concatenate_earlier=earlier,
        **known,
    )
    found = model(spoil(x, lengths), lengths=lengths)
    cases.assert_close(found, reference.batch_of(truth, size), tolerance=1e-6)


@examples(120)
@given(st.data())
def test_functions_equal_the_loops_or_say_what_is_wrong(data):
    try_function(data)


@examples(60)
@given(st.data())
def test_layers_equal_their_samples_one_by_one(data):
    try_layer(data)


@examples(20)
@given(st.data())
def test_terminators_equal_the_loops(data):
    try_terminator(data)


@pytest.mark.fuzz
@examples(6000)
@given(st.data())
def test_many_functions_equal_the_loops_or_say_what_is_wrong(data):
    try_function(data)


@pytest.mark.fuzz
@examples(3000)
@given(st.data())
def test_many_layers_equal_their_samples_one_by_one(data):
    try_layer(data)


@pytest.mark.fuzz
@examples(1000)
@given(st.data())
def test_many_terminators_equal_the_loops(data):
    try_terminator(data)
