"""The whole Terminator against the loops, and what only a whole backbone can show."""

import pytest
import torch
from torch import nn

from hyperseq import Terminator
from hyperseq.losses import slow_neural_loss
from tests import cases, reference

SMALL = {"slow_hidden_channels": 4, "slow_num_layers": 2, "omega_0": 3.0}
# shape of the input, lengths, widths, options of the backbone that the loops know too, and those they do not
BACKBONES = {
    "1d": ((2, 2, 6), None, [2, 4], {}, {}),
    "1d-lengths": ((3, 1, 5), (5, 2, 4), [2, 2, 4], {}, {}),
    "1d-earlier": (
        (2, 2, 5),
        (5, 3),
        [2, 4, 2, 4],
        {"local_kernel_sizes": (3,)},
        {"concatenate_earlier": True},
    ),
    "1d-no-stem": ((2, 2, 5), None, [2, 4], {}, {"stem": nn.Identity()}),
    "1d-published-options": (
        (3, 1, 5),
        (5, 2, 4),
        [2, 2, 4],
        {"kernel_per": "batch", "local_kernel_sizes": (3, 9, 5, 7)},
        {"statistics": "batch"},
    ),
    "2d": ((2, 2, 3, 2), None, [2, 4], {"local_kernel_sizes": (3, 1)}, {}),
    "2d-matmul": (
        (1, 1, 3, 3),
        None,
        [2, 2, 4],
        {"mode": "matmul", "local_kernel_sizes": (3,)},
        {"concatenate_earlier": True},
    ),
}


def build(shape, channels, *, training=False, extra=0, **options):
    torch.manual_seed(0)
    size = tuple(n + extra for n in shape[2:])
    model = Terminator(len(size), shape[1], size=size, channels=channels, **SMALL, **options)
    return model.double().train(training), size


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", BACKBONES)
def test_terminator_equals_loops_with_gradients(name, training):
    shape, lengths, channels, known, others = BACKBONES[name]
    model, size = build(shape, channels, training=training, **known, **others)
    x = cases.normal(*shape)
    truth = reference.terminator(
        model,
        reference.samples_of(x, lengths),
        size=size,
        by_batch=training or "statistics" in others,
        concatenate_earlier="concatenate_earlier" in others,
        **known,
    )
    found = model(x, lengths=None if lengths is None else torch.tensor(lengths))
    assert found.shape == (shape[0], channels[-1], *shape[2:])
    # the gradient grows by about half a block, and with it the rounding
    leaves = [x, *model.parameters()]
    cases.assert_same_with_gradients(found, reference.batch_of(truth, shape[2:]), leaves, tolerance=1e-7)


def test_hyper_kernels_are_one_a_block_of_the_blocks_input_width():
    model, _ = build((1, 3, 9), [2, 4, 6])
    assert [tuple(kernel.shape) for kernel in model.hyper_kernels()] == [(1, 2, 9), (1, 4, 9)]
    assert [tuple(kernel.shape) for kernel in model.hyper_kernels(5, rate=2.0)] == [(1, 2, 5), (1, 4, 5)]
    model, _ = build((1, 3, 4, 5), [2, 4, 6])
    assert [tuple(kernel.shape) for kernel in model.hyper_kernels()] == [(1, 2, 4, 5), (1, 4, 4, 5)]


@pytest.mark.parametrize("shape", [(1, 3, 9), (1, 3, 7, 6)], ids=cases.shape_id)
def test_hyper_kernels_obey_the_prefix_and_rate_laws(shape):
    model, size = build(shape, [2, 4, 6])
    shorter = tuple(n - 2 for n in size)
    every = tuple((n + 1) // 2 for n in size)
    lower, skip = tuple(slice(n) for n in shorter), (slice(None, None, 2),) * len(size)
    kernels = zip(
        model.hyper_kernels(), model.hyper_kernels(shorter), model.hyper_kernels(every, rate=2.0), strict=True
    )
    for kernel, prefix, halved in kernels:
        cases.assert_close(prefix, kernel[(..., *lower)])
        cases.assert_close(halved, 2 ** len(size) * kernel[(..., *skip)])


@pytest.mark.parametrize("shape", [(2, 3, 9), (2, 3, 4, 5)], ids=cases.shape_id)
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_hyper_kernels_kept_from_before_give_the_same(shape, rate):
    model, size = build(shape, [2, 4, 6])
    x = cases.normal(*shape)
    assert torch.equal(model(x, rate=rate, hyper_kernels=model.hyper_kernels(size, rate=rate)), model(x, rate=rate))


def test_any_size_is_taken_whatever_the_training_size():
    model, _ = build((1, 3, 9), [2, 4])
    for length in (1, 2, 8, 9, 17):
        assert model(cases.normal(2, 3, length)).shape == (2, 4, length)
    model, _ = build((1, 3, 4, 5), [2, 4])
    for size in ((1, 1), (3, 7), (5, 4)):
        assert model(cases.normal(2, 3, *size)).shape == (2, 4, *size)


def test_a_stem_of_ones_own_is_used():
    stem = nn.Conv1d(3, 2, 3, padding=1)
    model, _ = build((1, 3, 9), [2, 4], stem=stem)
    x = cases.normal(2, 3, 9)
    bare, _ = build((1, 2, 9), [2, 4], stem=nn.Identity())
    bare.blocks.load_state_dict(model.blocks.state_dict())
    assert model.stem is stem
    cases.assert_close(model(x), bare(stem(x)), tolerance=1e-12)


def test_identity_stem_changes_nothing():
    model, _ = build((1, 2, 9), [2, 4], stem=nn.Identity())
    x = cases.normal(2, 2, 9)
    cases.assert_close(model(x), model.blocks[0](x), tolerance=1e-12)


def test_published_local_branches_and_earlier_blocks_widen_the_bottleneck():
    plain, _ = build((1, 2, 9), [2, 4, 6])
    assert [block.bottleneck.weight.shape[1] for block in plain.blocks] == [9 * 2, 9 * 4]
    published, _ = build((1, 2, 9), [2, 4, 6, 8], local_kernel_sizes=(3, 9, 5, 7), concatenate_earlier=True)
    assert [block.bottleneck.weight.shape[1] for block in published.blocks] == [
        10 * 2,
        10 * 4 + 4,
        10 * 6 + 4 + 6,
    ]


def test_kernel_per_batch_alone_mixes_samples_in_evaluation():
    x = cases.normal(3, 2, 9)
    for options, alike in (({}, True), ({"kernel_per": "batch"}, False), ({"statistics": "batch"}, False)):
        model, _ = build((1, 2, 9), [2, 4], **options)
        apart = torch.cat([model(sample[None]) for sample in x])
        assert torch.allclose(model(x), apart, atol=1e-9) == alike


def test_a_step_of_training_lowers_the_loss_and_reaches_every_parameter():
    torch.manual_seed(0)
    model = nn.Sequential(Terminator(1, 2, size=16, channels=[4, 6, 8], mode="product", **SMALL))
    head = nn.Linear(8, 2)
    x, target = torch.randn(16, 2, 16), torch.arange(16) % 2
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-3)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(head(model(x).mean(-1)), target)
        loss = loss + 0.1 * slow_neural_loss(model[0].hyper_kernels())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(not torch.equal(value, start[name]) for name, value in model.named_parameters())


def test_slow_neural_loss_of_one_block_is_zero_and_of_two_is_not():
    one, _ = build((1, 2, 9), [2, 4])
    two, _ = build((1, 2, 9), [2, 4, 6])
    assert slow_neural_loss(one.hyper_kernels()).item() == 0.0
    assert slow_neural_loss(two.hyper_kernels()).item() > 0.0


def test_activations_keep_their_scale_through_many_blocks():
    torch.manual_seed(0)
    model = Terminator(1, 2, size=64, channels=[16] * 11, slow_hidden_channels=8)
    deviation = float(model(torch.randn(8, 2, 64)).std().detach())
    assert 0.4 < deviation < 0.8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients_keep_their_scale_through_many_blocks(seed):
    """Without the nearly linear start of the bottlenecks they grow by 1.5 a block: 40 times through these ten."""
    torch.manual_seed(seed)
    model = Terminator(1, 2, size=64, channels=[16] * 11, slow_hidden_channels=8)
    outputs = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, output: outputs.append(output))
    features = model(torch.randn(16, 2, 64))
    first, last = torch.autograd.grad(features, [outputs[0], outputs[-1]], torch.randn_like(features))
    growth = float(first.norm() / last.norm()) ** (1 / 9)
    assert 1 / 1.2 < growth < 1.2


def test_a_printed_terminator_shows_channels_size_and_mode():
    model = Terminator(2, 3, size=6, channels=[2, 4], mode="matmul", **SMALL)
    shown = "2, 3, size=(6, 6), channels=(2, 4), mode='matmul', concatenate_earlier=False"
    assert repr(model).startswith(f"Terminator(\n  {shown}\n")


def test_all_blocks_but_the_first_read_pairs():
    model, _ = build((1, 2, 9), [2, 4, 6, 8])
    assert [block.paired_input for block in model.blocks] == [False, True, True]


def test_gradcheck():
    model, _ = build((2, 1, 3), [1, 2, 2], local_kernel_sizes=(3,), concatenate_earlier=True)
    assert torch.autograd.gradcheck(model, cases.normal(2, 1, 3))
    lengths = torch.tensor([2, 3])
    assert torch.autograd.gradcheck(lambda x: model(x, lengths=lengths), cases.normal(2, 1, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 2), {"size": 6, "channels": [2, 4]}, "num_spatial_dims must .*, got 0"),
        ((True, 2), {"size": 6, "channels": [2, 4]}, "num_spatial_dims must .*, got True"),
        ((1, 2.0), {"size": 6, "channels": [2, 4]}, "in_channels must .*, got 2.0"),
        ((1, 2), {"size": 6.0, "channels": [2, 4]}, "size must .*, got .*6.0"),
        ((1, 2), {"size": 6, "channels": [2, True]}, "channels must .*, got .*True"),
        ((1, 0), {"size": 6, "channels": [2, 4]}, "in_channels must .*, got 0"),
        ((1, 2), {"size": 0, "channels": [2, 4]}, "size must .*, got .*0"),
        ((1, 2), {"size": (6, 6), "channels": [2, 4]}, r"size must .*, got \(6, 6\)"),
        ((1, 2), {"size": 6, "channels": [2]}, r"channels must .*, got .*2"),
        ((1, 2), {"size": 6, "channels": []}, r"channels must .*, got .*"),
        ((1, 2), {"size": 6, "channels": [2, 0]}, r"channels must .*, got .*0"),
        ((1, 2), {"size": 6, "channels": [2, 5]}, "num_groups must divide .*5.*, got 2"),
        ((1, 2), {"size": 6, "channels": [2, 4], "mode": "causal"}, "mode must .*, got 'causal'"),
        ((2, 2), {"size": 6, "channels": [2, 4], "mode": "causal"}, "mode must .*, got 'causal'"),
        ((1, 2), {"size": 6, "channels": [2, 4], "mode": "matmul"}, "mode must .*'matmul'.*, got .*6"),
        (
            (1, 2),
            {"size": 6, "channels": [2, 4], "local_kernel_sizes": (2,)},
            "kernel_size must .*odd.*, got .*2",
        ),
        ((1, 2), {"size": 6, "channels": [2, 4], "dropout": 2.0}, "dropout must .*, got 2.0"),
    ],
)
def test_construction_error_names_argument_rule_and_value(arguments, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Terminator(*arguments, **options)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 2), {}, r"x must .*, got .*\(2, 2\)"),
        ((2, 2, 6, 6), {}, r"x must .*1 spatial ax.*, got .*\(2, 2, 6, 6\)"),
        ((2, 3, 6), {}, r"x must .*2 channels.*, got .*\(2, 3, 6\)"),
        ((2, 2, 6), {"hyper_kernels": []}, "hyper_kernels must .*, got 0"),
        ((2, 2, 6), {"hyper_kernels": [torch.zeros(1, 2, 5)]}, r"hyper_kernel.* must .*, got .*\(5,\)"),
        ((2, 2, 6), {"rate": -1.0}, "rate must .*, got -1.0"),
        ((2, 2, 6), {"lengths": torch.tensor([6, 7])}, "lengths must .*1.*6.*, got .*7"),
    ],
)
def test_call_error_names_argument_rule_and_value(shape, options, message):
    model = Terminator(1, 2, size=6, channels=[2, 4], **SMALL)
    with pytest.raises(ValueError, match=f"^{message}"):
        model(torch.zeros(shape), **options)


def test_no_stem_needs_as_many_channels_as_the_first_width():
    with pytest.raises(ValueError, match=r"^channels must begin with the 3 .*, got \[2, 4\]"):
        Terminator(1, 3, size=6, channels=[2, 4], stem=nn.Identity(), **SMALL)
