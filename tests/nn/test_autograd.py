"""Layers under what people do to a backward pass: checkpoints, batched gradients, changes in place, scaled losses."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hyperseq import SequenceMixer, Terminator
from hyperseq.backbones import ResidualStack
from hyperseq.functional import fft_conv, global_hyperzzw, local_hyperzzw, mix_channels
from hyperseq.nn import BatchStandardization
from tests import cases
from tests.nn.layers import LAYERS, WITH_INPUTS

over_layers = pytest.mark.parametrize("name", WITH_INPUTS)


def run(name):
    """Return module, inputs, all leaves, the output, a cotangent and its gradients."""
    layer = LAYERS[name]
    module, inputs = layer.make(training=True), layer.inputs()
    leaves = [*inputs, *module.parameters()]
    output = module(*inputs)
    cotangent = cases.normal(*output.shape, seed=99).detach()
    return module, inputs, leaves, output, cotangent


def assert_all_close(found, expected):
    largest = max(float(gradient.abs().max()) for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        cases.assert_close(one, other, tolerance=1e-9, scale=largest)


@over_layers
def test_a_checkpoint_gives_the_same_gradients(name):
    module, inputs, leaves, output, cotangent = run(name)
    expected = torch.autograd.grad(output, leaves, cotangent)
    again = checkpoint(module, *inputs, use_reentrant=False)
    assert_all_close(torch.autograd.grad(again, leaves, cotangent), expected)


BACKBONES = {
    "Terminator": lambda **o: Terminator(1, 2, size=8, channels=[4, 6, 8], slow_hidden_channels=8, omega_0=3.0, **o),
    "ResidualStack": lambda **o: ResidualStack(2, layer=partial(SequenceMixer, l_max=8), depth=2, d_model=6, **o),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_that_keeps_the_inputs_of_its_blocks_alone_takes_the_same_step(name):
    """Same features, gradients and running statistics, dropout included, with lengths."""
    x, lengths, found = cases.normal(3, 2, 7), torch.tensor([7, 1, 4]), []
    for keep in (True, False):
        torch.manual_seed(0)
        model = BACKBONES[name](dropout=0.3, checkpoint=not keep).double()
        features = model(x, lengths=lengths)
        gradients = torch.autograd.grad(features.square().sum(), [x, *model.parameters()])
        found.append([features, *gradients, *model.buffers()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_that_keeps_the_inputs_of_its_blocks_alone_saves_fewer_tensors(name):
    counts = []
    for keep in (True, False):
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, saved=saved: saved.append(x.numel()) or x, lambda x: x):
            BACKBONES[name](checkpoint=not keep)(torch.randn(3, 2, 7))
        counts.append(sum(saved))
    assert counts[1] < counts[0] / 2


def test_a_checkpoint_counts_its_batch_once():
    model, x = BatchStandardization(3), torch.randn(4, 3, 5, requires_grad=True)
    checkpoint(model, x, use_reentrant=False).sum().backward()
    assert model.num_batches_tracked == 1
    torch.testing.assert_close(model.running_mean, x.detach().mean(dim=(0, 2)))


@over_layers
def test_batched_gradients_equal_one_after_the_other(name):
    _, _, leaves, output, cotangent = run(name)
    expected = torch.autograd.grad(output, leaves, cotangent, retain_graph=True)
    both = torch.stack([cotangent, -3 * cotangent])
    found = torch.autograd.grad(output, leaves, both, is_grads_batched=True)
    assert_all_close([gradients[0] for gradients in found], expected)
    assert_all_close([gradients[1] / -3 for gradients in found], expected)


X, K = cases.normal(2, 3, 7), cases.normal(2, 3, 5, seed=1)
FUNCTIONS = {
    "local_hyperzzw": lambda: local_hyperzzw(X, K),
    "local_hyperzzw-batch-one": lambda: local_hyperzzw(X[:1], K[:1]),
    "global_hyperzzw": lambda: global_hyperzzw(X, X[:1], X),
    "fft_conv": lambda: fft_conv(X, K, mode="same"),
    "mix_channels": lambda: mix_channels(X, K[0, :, :3]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_output_of_an_operator_may_be_changed_in_place(name):
    function = FUNCTIONS[name]
    found, truth = torch.nn.functional.relu_(function()), torch.relu(function())
    leaves = [x for x in (X, K) if torch.autograd.grad(function().sum(), x, allow_unused=True)[0] is not None]
    cases.assert_same_with_gradients(found, truth, leaves)


@pytest.mark.parametrize("dtype", cases.HALF_TYPES, ids=str)
def test_scaled_gradients_under_autocast_lower_the_loss(dtype):
    """A step that overflows is skipped and the scale halved, as for torch's own layers."""
    torch.manual_seed(0)
    model = nn.ModuleList(
        [Terminator(1, 2, size=16, channels=[4, 6, 8], slow_hidden_channels=8, omega_0=3.0), nn.Linear(8, 2)]
    )
    x, target = torch.randn(16, 2, 16), torch.arange(16) % 2
    optimizer, scaler = torch.optim.AdamW(model.parameters(), lr=5e-3), torch.amp.GradScaler("cpu")
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", dtype):
            loss = nn.functional.cross_entropy(model[1](model[0](x).mean(-1)), target)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", ["SFNEBlock-1d", "Terminator-1d", "Terminator-2d"])
def test_float16_autocast_stays_near_float32_for_large_inputs(name):
    layer = LAYERS[name]
    module = layer.make(dtype=torch.float32)
    inputs = [600 * x for x in layer.inputs(dtype=torch.float32)]
    truth = copy.deepcopy(module)(*inputs)
    with torch.autocast("cpu", torch.float16):
        output = module(*inputs)
    assert cases.relative_error(output, truth) < 0.05
