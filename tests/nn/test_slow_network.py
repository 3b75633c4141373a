"""Laws of the slow network: its equation, its coordinates and its scale."""

import math

import pytest
import torch

from hyperseq.nn import SlowNetwork
from tests import cases, reference

SIZES = [(7,), (1,), (2, 3), (3, 1), (2, 2, 3)]


def network(size, *, seed=0, **options):
    torch.manual_seed(seed)
    options = {"hidden_channels": 5, "num_layers": 2, "omega_0": 3.0, **options}
    net = SlowNetwork(len(size), 3, size=size, **options).double()
    with torch.no_grad():  # biases are 0 at first: give them something to do
        for mixing in [*net.mixings, net.output]:
            mixing.bias.normal_()
    return net


@pytest.mark.parametrize("summed", [True, False], ids=["summed", "scores"])
@pytest.mark.parametrize(("rate", "start"), [(1.0, 0.0), (2.0, 0.0), (0.5, 1.5)])
@pytest.mark.parametrize("extent", SIZES, ids=cases.shape_id)
def test_network_equals_loops_with_gradients(extent, rate, start, summed):
    net = network(extent, summed=summed)
    size = tuple(n + 1 for n in extent)
    truth = reference.slow_network(net, size, extent=extent, rate=rate, start=start, summed=summed)[None]
    found = net(size, rate=rate, start=start)
    # gradients by frequencies reach a thousand; one of an axis of extent 1 is zero
    cases.assert_same_with_gradients(found, truth, net.parameters())


@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_any_number_of_layers_equals_loops_with_gradients(num_layers):
    net = network((6,), num_layers=num_layers)
    assert len(net.frequencies) == len(net.phases) == num_layers + 1
    assert len(net.mixings) == num_layers
    truth = reference.slow_network(net, (6,), extent=(6,))[None]
    cases.assert_same_with_gradients(net(), truth, net.parameters())


@pytest.mark.parametrize("size", [(7,), (2, 3)], ids=cases.shape_id)
def test_modulation_multiplies_the_last_hidden_state(size):
    net, modulation = network(size), cases.normal(3, 5, *size)
    truth = torch.stack([reference.slow_network(net, size, extent=size, modulation=sample) for sample in modulation])
    cases.assert_same_with_gradients(net(modulation=modulation), truth, [modulation, *net.parameters()])


def test_a_modulation_of_ones_changes_nothing():
    net = network((7,))
    cases.assert_close(net(modulation=torch.ones(1, 5, 7).double()), net())


@pytest.mark.parametrize("size", [(7,), (4, 5)], ids=cases.shape_id)
def test_the_training_size_is_the_default(size):
    net = network(size)
    assert net().shape == (1, 3, *size)
    assert torch.equal(net(), net(size))


def test_an_integer_size_stands_for_all_axes():
    assert torch.equal(network((4, 4))(3), network((4, 4))((3, 3)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_kernel_of_a_shorter_input_is_the_prefix(dtype):
    net = network((9, 6)).to(dtype)
    cases.assert_close(net((5, 3)), net((12, 6))[:, :, :5, :3], tolerance=1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("rate", [2, 3])
@pytest.mark.parametrize("extent", [(13,), (9, 12)], ids=cases.shape_id)
def test_kernel_at_rate_r_is_every_rth_sample_times_the_step(extent, rate):
    net = network(extent)
    every = net()[(..., *(slice(None, None, rate) for _ in extent))]
    cases.assert_close(net(tuple(every.shape[2:]), rate=float(rate)), rate ** len(extent) * every)


def test_scores_at_rate_r_are_every_rth_sample_itself():
    net = network((13,), summed=False)
    cases.assert_close(net(5, rate=3.0), net()[..., ::3])


def test_start_moves_the_first_position():
    net = network((9,))
    cases.assert_close(net(4, start=5.0), net()[..., 5:])


def test_summed_scales_by_the_root_of_the_product_of_the_extents():
    cases.assert_close(network((4, 9), summed=False)(), 6.0 * network((4, 9), summed=True)())


@pytest.mark.parametrize("size", [(500,), (20, 25)], ids=cases.shape_id)
@pytest.mark.parametrize("omega_0", [1.0, 30.0, 100.0])
@pytest.mark.parametrize(("hidden_channels", "num_layers"), [(32, 3), (64, 1)])
def test_output_has_unit_variance_at_initialization(size, omega_0, hidden_channels, num_layers):
    scores, sums = [], []
    for seed in range(20):
        torch.manual_seed(seed)
        options = {"omega_0": omega_0, "hidden_channels": hidden_channels, "num_layers": num_layers}
        scores.append(SlowNetwork(len(size), 32, size=size, summed=False, **options)().detach().square().mean())
        kernel = SlowNetwork(len(size), 32, size=size, **options)().detach()
        # a sum over N positions of independent inputs of variance 1 has variance sum of K^2
        sums.append(kernel.square().flatten(2).sum(-1).mean())
    assert float(torch.stack(scores).mean()) == pytest.approx(1.0, abs=0.2)
    assert float(torch.stack(sums).mean()) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("omega_0", [1.0, 30.0])
def test_frequencies_are_uniform_times_gamma_and_phases_uniform(omega_0):
    options = {"size": 4, "hidden_channels": 500, "num_layers": 1, "omega_0": omega_0}
    nets = [SlowNetwork(2, 1, **options) for _ in range(40)]
    for layer in range(2):
        frequencies = torch.cat([net.frequencies[layer].detach() for net in nets])
        phases = torch.cat([net.phases[layer].detach() for net in nets])
        alpha, scale = 6.0 / (layer + 1), 2 * math.pi * omega_0
        # E u = 0, E|u| = 1/2, E u^2 = 1/3, E gamma = alpha, E gamma^2 = alpha (alpha + 1)
        assert float(frequencies.mean()) == pytest.approx(0.0, abs=0.03 * scale * alpha)
        assert float(frequencies.abs().mean()) == pytest.approx(scale * alpha / 2, rel=0.02)
        assert float(frequencies.square().mean()) == pytest.approx(scale**2 * alpha * (alpha + 1) / 3, rel=0.04)
        # one gamma a row: squares of the two entries of a row go together
        first, second = frequencies.square().T / scale**2
        together = alpha * (alpha + 1) * (alpha + 2) * (alpha + 3) / 9
        assert float((first * second).mean()) == pytest.approx(together, rel=0.1)
        assert -math.pi <= float(phases.min()) < -3.13
        assert 3.13 < float(phases.max()) < math.pi
        assert float(phases.square().mean()) == pytest.approx(math.pi**2 / 3, rel=0.02)


def test_half_types_compute_the_phase_of_a_fast_sine_in_full():
    """The other weights are rounded, and their products add up to a few units of the type's resolution."""
    net, twin = network((1000,), omega_0=100.0).bfloat16(), network((1000,), omega_0=100.0)
    assert net().dtype == torch.bfloat16
    assert cases.relative_error(net(), twin()) < 2 * torch.finfo(torch.bfloat16).eps


def test_autocast_changes_nothing():
    net = network((50,)).float()
    plain = net()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(net(), plain)


def test_gradcheck():
    net, modulation = network((3,), omega_0=0.3, hidden_channels=2), cases.normal(2, 2, 3)
    names, values = zip(*net.named_parameters(), strict=True)
    parameters = [value.detach().requires_grad_() for value in values]

    def kernel(modulation, *parameters):
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(net, state, (), {"modulation": modulation})

    assert torch.autograd.gradcheck(kernel, (modulation, *parameters))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 3), {"size": 4}, "num_spatial_dims must .*, got 0"),
        ((1, 0), {"size": 4}, "out_channels must .*, got 0"),
        ((1, 3), {"size": 0}, "size must .*, got .*0"),
        ((2, 3), {"size": (4, -2)}, "size must .*, got .*-2"),
        ((2, 3), {"size": (4, 4, 4)}, r"size must .*2 .*, got .*\(4, 4, 4\)"),
        ((1, 3), {"size": 4.5}, "size must .*, got .*4.5"),
        ((1, 3), {"size": 4, "hidden_channels": 0}, "hidden_channels must .*, got 0"),
        ((1, 3), {"size": 4, "num_layers": 0}, "num_layers must .*, got 0"),
        ((1, 3), {"size": 4, "omega_0": 0.0}, "omega_0 must .*, got 0.0"),
        ((1, 3), {"size": 4, "omega_0": -1.0}, "omega_0 must .*, got -1.0"),
        ((1, 3), {"size": 4, "omega_0": float("nan")}, "omega_0 must .*, got nan"),
    ],
)
def test_construction_error_names_argument_rule_and_value(arguments, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SlowNetwork(*arguments, **options)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (0, {}, "size must .*, got .*0"),
        ((3, 3), {}, r"size must .*, got .*\(3, 3\)"),
        (3, {"rate": 0.0}, "rate must .*, got 0.0"),
        (3, {"modulation": torch.zeros(1, 5, 4)}, r"modulation must .*\(3,\).*, got .*\(4,\)"),
        (3, {"modulation": torch.zeros(1, 6, 3)}, r"modulation must .*5 channels.*, got .*\(1, 6, 3\)"),
        (3, {"modulation": torch.zeros(5, 3)}, r"modulation must .*, got .*\(5, 3\)"),
    ],
)
def test_call_error_names_argument_rule_and_value(size, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        network((7,))(size, **options)
