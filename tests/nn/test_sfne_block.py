"""The SFNE block against the table of the paper, written as loops, whatever its options."""

import numpy as np
import pytest
import torch

from hyperseq.functional import batch_standardize
from hyperseq.nn import SFNEBlock
from tests import cases, reference

SMALL = {"slow_hidden_channels": 4, "slow_num_layers": 2, "omega_0": 3.0}
# shape of the input, lengths, options of block and reference alike
BLOCKS = {
    "1d": ((2, 2, 7), None, {}),
    "1d-lengths": ((3, 2, 7), (6, 1, 4), {}),
    "1d-product": ((2, 2, 5), None, {"mode": "product"}),
    "1d-size-one": ((2, 2, 1), None, {}),
    "1d-channel-one": ((2, 1, 6), (6, 5), {}),
    "2d": ((1, 2, 3, 2), None, {"local_kernel_sizes": (3, 1)}),
    "2d-matmul": ((2, 2, 3, 3), None, {"mode": "matmul", "local_kernel_sizes": (3, 5)}),
    "3d": ((1, 1, 2, 1, 2), None, {"local_kernel_sizes": (3,)}),
    "published": (
        (3, 2, 6),
        (5, 3, 6),
        {"local_kernel_sizes": (3, 9, 5, 7), "num_groups": 4, "kernel_per": "batch", "statistics": "batch"},
    ),
    "one-group-and-five-locals": ((2, 2, 6), None, {"local_kernel_sizes": (1, 3, 1, 3, 5), "num_groups": 1}),
    "causal": ((2, 2, 7), None, {"causal": True, "local_kernel_sizes": (3, 2, 5)}),
    "causal-lengths": ((3, 2, 7), (6, 1, 4), {"causal": True}),
    "causal-exact": ((2, 2, 5), None, {"causal": True, "exact": True}),
    "no-locals": ((2, 2, 6), None, {"local_kernel_sizes": ()}),
}
over_blocks = pytest.mark.parametrize("name", BLOCKS)


def build(shape, *, training, extra=2, **options):
    """A block whose training size is larger than the input, unless its mode is for squares."""
    torch.manual_seed(0)
    size = tuple(n + extra for n in shape[2:])
    block = SFNEBlock(len(size), shape[1], 4, size=size, **SMALL, **options).double().train(training)
    for key, buffer in block.named_buffers():
        buffer.copy_(torch.rand(buffer.shape) + 0.5 if "running" in key else buffer)
    return block, size


def by_loops(block, x, lengths, *, size, training, statistics="running", **options):
    by_batch = training or statistics == "batch"
    options.pop("exact", None)
    samples = reference.samples_of(x, lengths)
    return reference.batch_of(
        reference.sfne_block(block, samples, size=size, by_batch=by_batch, **options), x.shape[2:]
    )


class HalfOfTheInput(torch.nn.Module):
    """Stands for a hyper interaction whose scores are 0."""

    def forward(self, x, high_level, *, lengths=None, rate=1.0):
        return x / 2


@over_blocks
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_block_equals_the_table_with_gradients(name, training):
    shape, lengths, options = BLOCKS[name]
    block, size = build(shape, training=training, **options)
    x = cases.normal(*shape)
    truth = by_loops(block, x, lengths, size=size, training=training, **options)
    found = block(x, lengths=None if lengths is None else torch.tensor(lengths))
    leaves = [x, *block.parameters()]
    cases.assert_same_with_gradients(found, truth, leaves, tolerance=1e-8)


@pytest.mark.parametrize("name", ["1d", "2d", "2d-matmul", "causal"])
def test_block_at_twice_the_step_equals_the_table(name):
    shape, lengths, options = BLOCKS[name]
    block, size = build(shape, training=False, **options)
    x = cases.normal(*shape)
    truth = by_loops(block, x, lengths, size=size, training=False, rate=2, **options)
    cases.assert_same_with_gradients(block(x, rate=2.0), truth, [x], tolerance=1e-8)


def test_earlier_outputs_are_concatenated_to_the_branches():
    block, size = build((2, 2, 6), training=False, earlier_channels=5)
    x, first, second = cases.normal(2, 2, 6), cases.normal(2, 2, 6, seed=1), cases.normal(2, 3, 6, seed=2)
    earlier = [reference.samples_of(first), reference.samples_of(second)]
    truth = by_loops(block, x, None, size=size, training=False, earlier=earlier)
    cases.assert_same_with_gradients(block(x, earlier=[first, second]), truth, [x, first, second], tolerance=1e-8)


def test_a_hyper_kernel_made_before_gives_the_same():
    block, _ = build((2, 2, 6), training=False)
    x = cases.normal(2, 2, 6)
    assert torch.equal(block(x, hyper_kernel=block.hyper_kernel(6)), block(x))
    assert torch.equal(block(x, rate=2.0, hyper_kernel=block.hyper_kernel(6, rate=2.0)), block(x, rate=2.0))
    assert not torch.allclose(block(x, hyper_kernel=2.0 * block.hyper_kernel(6)), block(x))


def test_hyper_kernel_has_the_training_size_by_default_and_obeys_prefix_and_rate():
    block, size = build((2, 2, 6), training=False)
    kernel = block.hyper_kernel()
    assert kernel.shape == (1, 2, *size)
    cases.assert_close(block.hyper_kernel(5), kernel[..., :5])
    cases.assert_close(block.hyper_kernel(4, rate=2.0), 2.0 * kernel[..., ::2])


def test_every_part_of_the_table_matters():
    """Each branch reaches the output: without it, the output changes."""
    block, _ = build((2, 2, 6), training=False)
    x = cases.normal(2, 2, 6)
    before = block(x)
    for branch in range(9):
        kept = block.bottleneck.weight.detach().clone()
        with torch.no_grad():
            block.bottleneck.weight[:, 2 * branch : 2 * branch + 2] = 0.0
        assert not torch.allclose(block(x), before, atol=1e-6), branch
        with torch.no_grad():
            block.bottleneck.weight.copy_(kept)
    assert block.bottleneck.weight.shape == (4, 9 * 2)


def read(x, paired_input):
    """Return what a block reads at first: channels, or differences of pairs and a last channel without a partner."""
    if not paired_input:
        return x
    pairs = x.shape[1] // 2
    return torch.cat([x[:, 0 : 2 * pairs : 2] - x[:, 1 : 2 * pairs : 2], x[:, 2 * pairs :]], dim=1)


@pytest.mark.parametrize("paired_input", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("wide", range(1, 10))
@pytest.mark.parametrize("narrow", range(1, 10))
def test_at_first_pairs_of_outputs_differ_by_a_rotation_of_what_the_block_reads(narrow, wide, paired_input):
    """With the other branches silenced, the block is linear, its standardization and GELU included."""
    torch.manual_seed(0)
    block = SFNEBlock(1, narrow, wide, size=9, num_groups=1, paired_input=paired_input, **SMALL).double()
    weight = block.bottleneck.weight.detach()
    assert weight[:, : 8 * narrow].abs().max() < 0.3 / (9 * narrow) ** 0.5
    from_input = weight[:, 8 * narrow :]
    assert torch.equal(from_input[1::2], -from_input[0::2][: wide // 2])
    rotation = from_input[0::2, ::2] if paired_input else from_input[0::2]
    short = rotation if rotation.shape[0] < rotation.shape[1] else rotation.mT
    cases.assert_close(short @ short.mT, torch.eye(len(short), dtype=torch.float64), tolerance=1e-6)
    # as many pairs of outputs as the block reads dimensions: every channel counts as much as any other
    if rotation.shape[0] >= rotation.shape[1]:
        cases.assert_close(from_input[0::2].norm(dim=0), torch.ones(narrow, dtype=torch.float64), tolerance=1e-6)

    with torch.no_grad():
        block.bottleneck.weight[:, : 8 * narrow] = 0
    x = cases.normal(3, narrow, 9)
    # a hyper interaction without scores is half of its input
    block.hyper_interaction = HalfOfTheInput()
    y, rotated = block(x), batch_standardize(torch.einsum("oi,bil->bol", rotation, read(x, paired_input)) / 2)
    pairs = wide // 2
    cases.assert_close(y[:, 0 : 2 * pairs : 2] - y[:, 1 : 2 * pairs : 2], rotated[:, :pairs])
    cases.assert_close(y[:, 2 * pairs :], torch.nn.functional.gelu(rotated[:, pairs:]))


@pytest.mark.parametrize("narrow", range(1, 10))
@pytest.mark.parametrize("wide", range(1, 10))
@pytest.mark.parametrize("paired_input", [False, True], ids=["first", "later"])
def test_at_first_every_channel_is_read(narrow, wide, paired_input):
    torch.manual_seed(0)
    block = SFNEBlock(1, narrow, wide, size=9, num_groups=1, paired_input=paired_input, **SMALL)
    norms = block.bottleneck.weight[:, 8 * narrow :].norm(dim=0)
    # a block with fewer pairs of outputs than channels reads some directions only, but no channel is left out
    assert norms.min() > 1e-3, norms


@pytest.mark.parametrize(("narrow", "wide"), [(2, 4), (4, 8), (8, 4), (6, 6)])
def test_even_widths_of_a_later_block_spread_one_orthogonal_matrix_over_pairs(narrow, wide, monkeypatch):
    """These weights were right before the start knew other widths: a seed still draws the same."""
    drawn, draw = [], torch.nn.init.orthogonal_
    monkeypatch.setattr(torch.nn.init, "orthogonal_", lambda tensor: drawn.append(draw(tensor).clone()) or tensor)
    block = SFNEBlock(1, narrow, wide, size=9, num_groups=1, paired_input=True, **SMALL)
    (differences,) = drawn
    assert differences.shape == (wide // 2, narrow // 2)
    spread = torch.kron(differences, torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    assert torch.equal(block.bottleneck.weight[:, 8 * narrow :], spread)


def test_a_printed_block_shows_channels_size_mode_and_start():
    block = SFNEBlock(2, 4, 8, size=6, mode="matmul", paired_input=True, **SMALL)
    assert repr(block).startswith("SFNEBlock(\n  2, 4, 8, size=(6, 6), mode='matmul', paired_input=True\n")


def test_sizes_and_counts_of_numpy_are_taken():
    block = SFNEBlock(np.int64(1), np.int64(2), np.int32(4), size=np.int64(6), earlier_channels=np.int64(0), **SMALL)
    assert block(torch.zeros(2, 2, 6)).shape == (2, 4, 6)
    assert block.hyper_kernel(np.int64(5)).shape == (1, 2, 5)


def test_training_moves_the_running_statistics_and_evaluation_leaves_them():
    block, _ = build((2, 2, 6), training=True)

    def running():
        return {key: value.clone() for key, value in block.named_buffers() if not key.endswith("extent")}

    before = running()
    assert len(before) == 12  # mean, variance and number of batches of three local branches and of the bottleneck
    block(cases.normal(2, 2, 6))
    after = running()
    assert all(not torch.equal(after[key], before[key]) for key in before)
    block.eval()(cases.normal(2, 2, 6))
    assert all(torch.equal(value, after[key]) for key, value in running().items())


def test_dropout_drops_outputs_in_training_alone():
    block, _ = build((2, 2, 6), training=True, dropout=0.5)
    x = cases.normal(2, 2, 6)
    plain, _ = build((2, 2, 6), training=True)
    dropped, full = block(x), plain(x)
    zero = dropped == 0
    assert 0.2 < float(zero.double().mean()) < 0.8
    cases.assert_close(dropped[~zero], 2.0 * full[~zero])
    block, _ = build((2, 2, 6), training=False, dropout=0.5)
    plain, _ = build((2, 2, 6), training=False)
    assert torch.equal(block(x), plain(x))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_gradcheck(training):
    block, _ = build((2, 1, 3), training=training, local_kernel_sizes=(3,))
    assert torch.autograd.gradcheck(block, cases.normal(2, 1, 3))
    assert torch.autograd.gradgradcheck(block, cases.normal(2, 1, 2))
    lengths = torch.tensor([3, 2])
    assert torch.autograd.gradcheck(lambda x: block(x, lengths=lengths), cases.normal(2, 1, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 2, 4), {"size": 6}, "num_spatial_dims must .*, got 0"),
        ((1, 0, 4), {"size": 6}, "in_channels must .*, got 0"),
        ((1, 2, 0), {"size": 6}, "out_channels must .*, got 0"),
        ((1, 2, 4), {"size": 0}, "size must .*, got .*0"),
        ((1, 2, 4), {"size": 6, "mode": "causal"}, "mode must .*, got 'causal'"),
        ((2, 2, 4), {"size": 6, "mode": "causal"}, "mode must .*, got 'causal'"),
        ((2, 2, 4), {"size": 6, "causal": True}, "causal must be False .*num_spatial_dims is 1, got .*2"),
        ((1, 2, 4), {"size": 6, "causal": True, "mode": "circular"}, "mode must be None .*, got 'circular'"),
        ((1, 2, 4), {"size": 6, "causal": True, "statistics": "batch"}, "statistics must be 'running' .*, got 'batch'"),
        ((1, 2, 4), {"size": 6, "causal": True, "kernel_per": "batch"}, "kernel_per must be 'sample' .*, got 'batch'"),
        ((1, 2, 4), {"size": 6, "exact": True}, "exact must be False .*, got exact=True with causal=False"),
        ((1, 2, 4), {"size": 6, "mode": "cyclic"}, "mode must be one of .*, got 'cyclic'"),
        ((1, 2, 4), {"size": 6, "mode": "matmul"}, "mode must .*'matmul'.*, got .*6"),
        ((2, 2, 4), {"size": (6, 5), "mode": "matmul"}, r"mode must .*'matmul'.*, got .*\(6, 5\)"),
        ((1, 2, 4), {"size": 6, "local_kernel_sizes": (3, 4)}, "kernel_size must .*odd.*, got .*4"),
        ((1, 2, 5), {"size": 6}, "num_groups must divide .*5.*, got 2"),
        ((1, 2, 4), {"size": 6, "statistics": "none"}, "statistics must be one of .*, got 'none'"),
        ((1, 2, 4), {"size": 6, "kernel_per": "none"}, "kernel_per must be one of .*, got 'none'"),
        ((1, 2, 4), {"size": 6, "earlier_channels": -1}, "earlier_channels must .*, got -1"),
        ((1, 2, 4), {"size": 6, "dropout": 1.0}, "dropout must .*, got 1.0"),
        ((1, 2, 4), {"size": 6, "dropout": -0.1}, "dropout must .*, got -0.1"),
        ((1, 2, 4), {"size": 6, "omega_0": 0.0}, "omega_0 must .*, got 0.0"),
        ((1, 2, 4), {"size": 6, "slow_num_layers": 0}, "num_layers must .*, got 0"),
        ((1, 2, 4), {"size": 6.0}, "size must .*, got .*6.0"),
        ((True, 2, 4), {"size": 6}, "num_spatial_dims must .*, got True"),
        ((1, 2, 4.0), {"size": 6}, "out_channels must .*, got 4.0"),
        ((1, 2, 4), {"size": 6, "omega_0": float("inf")}, "omega_0 must be a finite number above 0, got inf"),
        ((1, 2, 4), {"size": 6, "omega_0": "30"}, "omega_0 must .*, got '30'"),
        ((1, 2, 4), {"size": 6, "dropout": float("nan")}, "dropout must .*, got nan"),
        ((1, 2, 4), {"size": 6, "dropout": True}, "dropout must .*, got True"),
    ],
)
def test_construction_error_names_argument_rule_and_value(arguments, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SFNEBlock(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hyper_kernel": torch.zeros(1, 2, 5)}, r"hyper_kernel must .*, got .*\(5,\)"),
        ({"hyper_kernel": torch.zeros(1, 3, 6)}, r"hyper_kernel must .*, got .*\(1, 3, 6\)"),
        ({"earlier": [torch.zeros(2, 3, 6)]}, "earlier must .*0 channels.*, got .*3.*"),
        ({"rate": 0.0}, "rate must .*, got 0.0"),
        ({"rate": float("inf")}, "rate must .*, got inf"),
        ({"rate": float("nan")}, "rate must .*, got nan"),
    ],
)
def test_call_error_names_argument_rule_and_value(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SFNEBlock(1, 2, 4, size=6, **SMALL)(torch.zeros(2, 2, 6), **options)


def test_an_earlier_output_of_another_size_is_refused():
    block = SFNEBlock(1, 2, 4, size=6, earlier_channels=3, **SMALL)
    with pytest.raises(ValueError, match=r"^earlier must .*, got .*5"):
        block(torch.zeros(2, 2, 6), earlier=[torch.zeros(2, 3, 5)])
