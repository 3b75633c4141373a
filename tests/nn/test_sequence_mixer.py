"""The sequence mixer against its definition as loops, its masks and layouts, and its steps."""

import copy

import pytest
import torch

from hyperseq.nn import SequenceMixer
from hyperseq.optim import param_groups
from tests import cases, reference

SMALL = {"hidden_channels": 4, "num_layers": 2, "omega_0": 3.0}
FORMS = {
    "values": {},
    "kernel": {"context_in": "kernel"},
    "values-causal": {"causal": True, "local_kernel_size": 4, "short_kernel_size": 2},
    "kernel-causal": {"causal": True, "context_in": "kernel"},
    "values-exact": {"causal": True, "exact": True},
}
CAUSAL = [name for name, options in FORMS.items() if options.get("causal")]
over_forms = pytest.mark.parametrize("form", FORMS)


def build(form, *, l_max=9, **options):
    torch.manual_seed(0)
    mixer = SequenceMixer(
        3,
        l_max=l_max,
        local_kernel_size=FORMS[form].get("local_kernel_size", 5),
        **SMALL,
        **{key: value for key, value in {**FORMS[form], **options}.items() if key != "local_kernel_size"},
    ).double()
    with torch.no_grad():
        for bias in (mixer.short_bias, mixer.output_bias):
            bias.uniform_(-1, 1)
    return mixer


def by_loops(mixer, x, *, rate=1):
    """One sample ``(D, L)``, from the mixer's parameters."""
    size, causal = x.shape[-1], mixer.causal
    projected = reference.mix_channels(x, mixer.input_weight)
    taps = mixer.short_weight.shape[1]

    def window(t):
        total = mixer.short_bias
        for j in range(taps):
            source = t[0] + j - (taps - 1 if causal else taps // 2)
            if 0 <= source < size:
                total = total + mixer.short_weight[:, j] * projected[:, source]
        return total

    context, value, gate = reference.tabulate(window, (size,)).chunk(3)
    kernel = reference.slow_network(mixer.slow_network, (size,), extent=(mixer.l_max,), rate=rate, summed=not causal)
    if causal:
        time = mixer.log_time.exp()
        kernel = reference.tabulate(
            lambda t: rate * kernel[:, t[0]] * torch.exp(-rate * t[0] / time) / torch.sqrt((time + 1) / 2), (size,)
        )
    mode = "causal" if causal else "circular"
    if mixer.context_bias is None:
        mixed = reference.convolve(context * value, kernel, mode)
    else:
        mixed = reference.global_hyperzzw(context + mixer.context_bias[:, None], kernel, value, mode)
    operator = mixer.local_operator
    (k,) = operator.kernel_size
    if causal:
        local = reference.causal_local_hyperzzw(context, value, reference.causal_local_kernel(operator, k, rate))
    else:
        local = reference.local_hyperzzw(value, reference.local_kernels(operator, [context], (k,), rate=rate)[0])
    return reference.mix_channels(gate * (mixed + local), mixer.output_weight, mixer.output_bias)


@over_forms
@pytest.mark.parametrize("length", [1, 2, 7, 9, 12])
def test_mixer_equals_loops_with_gradients(form, length):
    mixer, x = build(form), cases.normal(2, length, 3)
    truth = reference.batch_of([by_loops(mixer, sample.mT) for sample in x]).mT
    leaves = [x, *mixer.parameters()]
    cases.assert_same_with_gradients(mixer(x), truth, leaves)


@over_forms
def test_mixer_at_twice_the_step_equals_loops(form):
    mixer, x = build(form), cases.normal(2, 4, 3)
    truth = reference.batch_of([by_loops(mixer, sample.mT, rate=2) for sample in x]).mT
    cases.assert_same_with_gradients(mixer(x, rate=2.0), truth, [x])


@over_forms
def test_lengths_and_mask_say_the_same(form):
    mixer, x = build(form), cases.normal(3, 8, 3)
    lengths = torch.tensor([5, 8, 1])
    mask = torch.arange(8) < lengths[:, None]
    dirty = x.masked_fill(~mask[..., None], float("nan"))
    found = mixer(dirty, mask=mask)
    assert torch.equal(found, mixer(dirty, lengths=lengths))
    truth = [torch.nn.functional.pad(by_loops(mixer, s[:n].mT), (0, 8 - n)) for s, n in zip(x, (5, 8, 1), strict=True)]
    cases.assert_close(found, torch.stack(truth).mT)


@over_forms
def test_transposed_takes_and_returns_channels_first(form):
    x = cases.normal(2, 7, 3)
    assert torch.equal(build(form, transposed=True)(x.mT), build(form)(x).mT)


@pytest.mark.parametrize("form", CAUSAL)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("split", [0, 1, 7, 16, 37])
def test_prefill_and_steps_equal_the_parallel_form(form, transposed, split):
    mixer, x = build(form, transposed=transposed), cases.normal(2, 37, 3).detach()
    along = (lambda y: y.mT) if transposed else (lambda y: y)
    truth = along(mixer(along(x)))
    outputs, state = [], mixer.initial_state(2)
    if split:
        output, state = mixer.prefill(along(x[:, :split]), state)
        outputs.append(along(output))
    for t in range(split, 37):
        output, state = mixer.step(x[:, t], state)
        assert output.shape == (2, 3)
        outputs.append(output[:, None])
    cases.assert_close(torch.cat(outputs, dim=1), truth)


@pytest.mark.parametrize("form", CAUSAL)
def test_float32_in_many_pieces_stays_within_1e_4(form):
    mixer, x = build(form, l_max=500).float(), cases.normal(1, 1000, 3, dtype=torch.float32).detach()
    state, outputs = None, []
    for piece in x.tensor_split([1, 2, 300, 301, 302, 999], dim=1):
        output, state = mixer.prefill(piece, state)
        outputs.append(output)
    cases.assert_close(torch.cat(outputs, dim=1), mixer(x).detach(), tolerance=1e-4)


def test_a_layer_that_reads_the_future_takes_no_pieces():
    with pytest.raises(ValueError, match="^causal must be True .*, got causal=False"):
        build("values").initial_state(1)


@over_forms
def test_device_and_type_are_options(form):
    options = {key: value for key, value in FORMS[form].items()}
    assert {p.dtype for p in SequenceMixer(3, l_max=5, dtype=torch.float64, **options).parameters()} == {torch.float64}
    assert all(p.is_meta for p in SequenceMixer(3, l_max=5, device="meta", **options).parameters())


def test_parameters_are_marked_and_grouped_inside_a_foreign_model():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), build("kernel-causal"))
    kept = {name for name, p in model.named_parameters() if getattr(p, "_no_weight_decay", False)}
    assert {"1.log_time", "1.context_bias", "1.short_bias", "1.slow_network.phases"} <= kept
    assert not kept & {"0.weight", "1.input_weight", "1.output_weight", "1.short_weight"}
    groups = param_groups(model, lr=1e-3, weight_decay=0.1)
    decayed = {p for group in groups if group["weight_decay"] for p in group["params"]}
    assert not decayed & {p for name, p in model.named_parameters() if name in kept}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_a_copy_has_a_history_of_its_own():
    mixer, x = build("values-causal"), cases.normal(1, 6, 3).detach()
    _, state = mixer.prefill(x[:, :4])
    twin = copy.deepcopy(state)
    first, _ = mixer.prefill(x[:, 4:], state)
    assert torch.equal(mixer.prefill(x[:, 4:], twin)[0], first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l_max": 0}, "l_max must .*, got 0"),
        ({"l_max": 5, "exact": True}, "exact must be False unless mode is 'causal', got mode 'circular'"),
        ({"l_max": 5, "context_in": "both"}, "context_in must be one of 'values', 'kernel', got 'both'"),
        ({"l_max": 5, "short_kernel_size": 4}, "short_kernel_size must be odd unless causal is True, got 4"),
        ({"l_max": 5, "local_kernel_size": 4}, "kernel_size must be odd, .*, got .*4"),
    ],
)
def test_construction_error_names_argument_rule_and_value(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SequenceMixer(3, **options)


PACKED = torch.nn.utils.rnn.pack_sequence([torch.zeros(4, 3), torch.zeros(2, 3)])
X = torch.zeros(2, 4, 3)
LEFT_PADDED = torch.tensor([[False, True, True, True]] * 2)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (PACKED, {}, r"x must be a torch.Tensor \(.*pad_packed_sequence unpacks\), got PackedSequence"),
        (X.mT, {}, r"x must be \(batch, length, channels\) with 3 channels, and not empty, got shape \(2, 3, 4\)"),
        (X, {"mask": torch.ones(2, 4)}, r"mask must be booleans of shape \(2, 4\).*, got torch.float32 of shape .*"),
        (
            X,
            {"mask": LEFT_PADDED},
            "mask must be True first .*to the right.*, got .*",
        ),
        (X, {"mask": torch.ones(2, 4).bool(), "lengths": torch.tensor([4, 4])}, "mask must be None beside lengths.*"),
        (X, {"rate": 0.0}, "rate must .*, got 0.0"),
    ],
)
def test_call_error_names_argument_rule_and_value(x, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SequenceMixer(3, l_max=4, **SMALL)(x, **options)


def test_a_step_takes_one_position():
    mixer = build("values-causal")
    with pytest.raises(ValueError, match=r"^x must be one position \(batch, 3\), got \(1, 2, 3\)"):
        mixer.step(torch.zeros(1, 2, 3).double(), mixer.initial_state(1))
