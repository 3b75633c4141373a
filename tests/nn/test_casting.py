"""What a cast, a device without values, another default type and a reset leave as it was."""

import copy

import pytest
import torch
from torch import nn

from hyperseq import Terminator
from hyperseq.nn import BatchStandardization, SlowNetwork
from tests import cases
from tests.nn.layers import LAYERS, WITH_PARAMETERS

KEPT = ("frequencies", "phases", "running_mean", "running_var")


def terminator(**options):
    torch.manual_seed(0)
    return Terminator(1, 1, size=1000, channels=[4, 8, 8], slow_hidden_channels=8, **options)


def kept(model):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: tensor for name, tensor in tensors.items() if name.endswith(KEPT)}


CASTS = {
    "bfloat16": lambda model: model.bfloat16(),
    "half": lambda model: model.half(),
    "to": lambda model: model.to(torch.bfloat16),
    "to-device-and-type": lambda model: model.to("cpu", torch.float16),
    "half-in-a-larger-model": lambda model: nn.Sequential(model).half()[0],
    "double-and-half": lambda model: model.double().half(),
}


@pytest.mark.parametrize("way", CASTS)
def test_frequencies_phases_and_running_statistics_lose_no_digit_in_a_cast(way):
    model, twin = terminator(), terminator()
    CASTS[way](model)
    assert model.stem.weight.dtype in cases.HALF_TYPES
    found, expected = kept(model), kept(twin)
    assert len(found) == 2 * 2 * (1 + 1 + 3 + 2) + 2 * 2 * 4
    assert all(tensor.dtype == torch.float32 and torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in model.parameters())


def test_double_casts_everything():
    assert all(tensor.dtype == torch.float64 for tensor in kept(terminator().double()).values())


@cases.over_half_types
def test_a_cast_network_at_a_long_axis_stays_near_the_uncast_one(dtype):
    """With rounded frequencies the outputs would be off by a half in bfloat16 and by a tenth in float16."""
    model, x = terminator().eval(), cases.normal(2, 1, 1000, dtype=torch.float32)
    truth = model(x)
    assert cases.relative_error(copy.deepcopy(model).to(dtype)(x.to(dtype)), truth) < 12 * torch.finfo(dtype).eps


@cases.over_half_types
def test_frequencies_of_a_cast_network_have_gradients_of_their_own_type(dtype):
    model = terminator().to(dtype)
    model(cases.normal(2, 1, 50, dtype=dtype)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.dtype == (torch.float32 if name.endswith(KEPT) else dtype), name
        assert parameter.grad.isfinite().all(), name


@cases.over_half_types
@pytest.mark.parametrize("name", ["frequencies", "phases"])
def test_a_frequency_in_a_half_type_is_refused_with_the_remedy(dtype, name):
    network = SlowNetwork(1, 2, size=9)
    setattr(network, name, nn.Parameter(getattr(network, name).detach().to(dtype)))  # as a wrapper may do
    message = rf"{name} of SlowNetwork must be float32 or float64, got {dtype}: .*ignored_params"
    with pytest.raises(ValueError, match=f"^{message}"):
        network()


@cases.over_half_types
@pytest.mark.parametrize("name", [n for n in LAYERS if n in WITH_PARAMETERS])
def test_a_state_whose_digits_are_lost_is_refused(dtype, name):
    module = LAYERS[name].make(training=True)
    lost = {key: value.to(dtype) if value.is_floating_point() else value for key, value in module.state_dict().items()}
    if not kept(module):
        module.load_state_dict(lost)
        return
    with pytest.raises(ValueError, match=f"must be float32 or float64 in a loaded state, got {dtype}: its digits are"):
        module.load_state_dict(lost)


def test_running_statistics_in_a_half_type_are_refused():
    layer = BatchStandardization(2)
    layer.running_var = layer.running_var.half()
    with pytest.raises(ValueError, match="^running_var of BatchStandardization must be float32 or float64, got"):
        layer(torch.zeros(1, 2, 3))


@pytest.mark.parametrize("scale", [600.0, 5000.0])
@pytest.mark.parametrize("name", [n for n in LAYERS if n.startswith(("SFNEBlock", "Recursive", "Hyper"))])
def test_float16_is_finite_for_large_inputs(name, scale):
    layer, training = LAYERS[name], True
    module, wide = layer.make(dtype=torch.float16, training=training), layer.make(training=training)
    inputs = [(scale * x.detach()).half().requires_grad_() for x in layer.inputs(dtype=torch.float32)]
    output, truth = module(*inputs), wide(*[x.double() for x in inputs])
    assert output.isfinite().all()
    assert cases.relative_error(output, truth) < 0.1
    loss = (output.float() / float(truth.detach().abs().max())).square().mean()
    gradients = torch.autograd.grad(loss, [*inputs, *module.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)


# ---- size
def test_weights_of_another_size_are_refused_with_both_sizes():
    short, long = Terminator(1, 1, size=200, channels=[2, 4]), Terminator(1, 1, size=400, channels=[2, 4])
    message = r"size of blocks.0.global_operator.slow_network must be \(200,\), .*, got \(400,\)"
    for strict in (True, False):
        with pytest.raises(ValueError, match=f"^{message}"):
            long.load_state_dict(short.state_dict(), strict=strict)


def test_kernels_of_another_size_are_refused():
    three, five = (Terminator(1, 1, size=9, channels=[2, 4], local_kernel_sizes=(k,)) for k in (3, 5))
    with pytest.raises(ValueError, match=r"^size of .*local_operators.0.slow_network must be \(3,\), .*, got \(5,\)"):
        five.load_state_dict(three.state_dict())


def test_a_state_without_size_is_refused():
    network = SlowNetwork(1, 2, size=9)
    state = {name: value for name, value in network.state_dict().items() if name != "extent"}
    with pytest.raises(RuntimeError, match='Missing key.*"extent"'):
        network.load_state_dict(state)


def test_training_goes_on_at_another_length_with_the_same_kernels():
    """The module keeps the size of its weights; a longer input reads the kernel on."""
    torch.manual_seed(0)
    trained = Terminator(1, 1, size=20, channels=[2, 4])
    model = Terminator(1, 1, size=20, channels=[2, 4])
    model.load_state_dict(trained.state_dict())
    model(torch.randn(2, 1, 50)).sum().backward()
    for longer, kernel in zip(model.hyper_kernels(50), trained.hyper_kernels(), strict=True):
        cases.assert_close(longer[..., :20], kernel, tolerance=1e-6)


# ---- construction elsewhere, and anew
def reset(model):
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_a_module_made_on_meta_and_reset_is_distributed_as_usual(name):
    """The norms of all tensors are near those of modules made as usual: a start of its own is not lost."""
    layer = LAYERS[name]
    with torch.device("meta"):
        module = layer.build()
    assert all(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()])
    found = reset(module.to_empty(device="cpu")).state_dict()
    usual = [layer.build().state_dict() for _ in range(5)]
    for key, value in found.items():
        norms = [float(state[key].double().norm()) for state in usual]
        assert 0.5 * min(norms) <= float(value.double().norm()) <= 2 * max(norms), key


def test_a_reset_keeps_the_nearly_linear_start():
    block = reset(terminator()).blocks[1]
    start = 8 * block.in_channels
    assert torch.equal(block.bottleneck.weight[1::2, start:], -block.bottleneck.weight[0::2, start:])
    assert block.bottleneck.weight[:, :start].abs().max() < 0.3 / (9 * block.in_channels) ** 0.5
    assert all((local.context_mixing.bias == 1).all() for local in block.local_operators)
    assert all((mixing.bias == 0).all() for mixing in block.global_operator.slow_network.mixings)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_another_default_type_gives_the_cast_module(name, dtype):
    layer = LAYERS[name]
    torch.set_default_dtype(dtype)
    try:
        torch.manual_seed(0)
        module = layer.build()
        inputs = layer.inputs(dtype=dtype)
        output = module(*inputs)
    finally:
        torch.set_default_dtype(torch.float32)
    assert output.dtype == dtype and output.isfinite().all()
    wide = torch.promote_types(dtype, torch.float32)
    floating = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for key, tensor in floating.items():
        if tensor.is_floating_point():
            assert tensor.dtype == (wide if key.endswith(KEPT) else dtype), key
