"""Kar2 and Kar3 against steps worked out by hand, and what an optimizer must do besides."""

import copy

import pytest
import torch
from torch import nn

from hyperseq import Terminator
from hyperseq.optim import Kar2, Kar3, param_groups

over_optimizers = pytest.mark.parametrize("optimizer", [Kar2, Kar3])


def walk(optimizer, gradients, start=1.0, **options):
    """Give one parameter these gradients in turn, and return where each step leaves it."""
    parameter = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    steps = optimizer([parameter], **options)
    path = []
    for gradient in gradients:
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        steps.step()
        path.append(parameter.item())
    return path


def test_kar2_by_hand():
    # m before each step: 0, 0.2, 0.09, 0.0355; after the fourth: -0.016275 and so on
    path = walk(Kar2, [4.0, -2.0, -1.0, -1.0, 0.0], lr=0.1)
    # step 1: sign(4) + sign(0) = 1; step 2: -1 + 1 = 0; step 3: -1 + 1 = 0 (m 0.09);
    # step 4: -1 + 1 = 0 (m 0.0355); step 5: 0 + sign(-0.016275) = -1
    assert path == pytest.approx([0.9, 0.9, 0.9, 0.9, 1.0])


def test_kar3_by_hand():
    # m1 (0.5) before each step: 0, 2, 0, -0.5, -0.75; m2 (0.95): 0, 0.2, 0.09, 0.0355, -0.016275
    # step 1: 1 + 0 + 0; step 2: -1 + 1 + 1; step 3: -1 + 0 + 1; step 4: -1 - 1 + 1; step 5: 0 - 1 - 1
    path = walk(Kar3, [4.0, -2.0, -1.0, -1.0, 0.0], lr=0.1)
    assert path == pytest.approx([0.9, 0.8, 0.8, 0.9, 1.1])


def test_the_averages_are_those_before_the_step():
    assert walk(Kar3, [-1.0], lr=0.1) == pytest.approx([1.1])
    assert walk(Kar2, [-1.0], lr=0.1) == pytest.approx([1.1])


def test_betas_can_be_chosen():
    # beta 0: the average is the last gradient; m before the steps: 0, 4, -2
    assert walk(Kar2, [4.0, -2.0, -2.0], lr=0.1, beta=0.0) == pytest.approx([0.9, 0.9, 1.1])
    assert walk(Kar3, [4.0, -2.0, -2.0], lr=0.1, betas=(0.0, 0.0)) == pytest.approx([0.9, 0.8, 1.1])


@over_optimizers
def test_scale_of_the_gradient_does_not_matter_and_there_is_no_weight_decay(optimizer):
    gradients = [0.3, -0.2, 0.5, 0.1]
    small, large = walk(optimizer, gradients, lr=0.1), walk(optimizer, [1e4 * g for g in gradients], lr=0.1)
    assert small == pytest.approx(large)
    far = walk(optimizer, gradients, lr=0.1, start=1001.0)
    assert far == pytest.approx([place + 1000.0 for place in small])


@over_optimizers
def test_a_parameter_without_gradient_stays(optimizer):
    still, moved = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    steps = optimizer([still, moved], lr=0.1)
    moved.grad = torch.ones(2)
    steps.step()
    assert still.tolist() == [1.0, 1.0]
    assert moved.tolist() != [1.0, 1.0]


def step_by_loops(parameters, averages, lr, betas):
    """One step of every parameter by itself, as the equation says."""
    for parameter, means in zip(parameters, averages, strict=True):
        if parameter.grad is None:
            continue
        directions = [parameter.grad, *means]
        for direction in directions:
            parameter.data = parameter.data - lr * direction.sign()
        for mean, beta in zip(means, betas, strict=True):
            mean.lerp_(parameter.grad, 1 - beta)


@over_optimizers
def test_steps_equal_loops_for_parameters_of_several_types_and_shapes(optimizer):
    """One parameter has a gradient in every other step alone: its averages wait for it."""
    torch.manual_seed(0)
    kinds = [((3, 4), torch.float32), ((5,), torch.float64), ((), torch.float32), ((2, 2, 2), torch.float64)]
    parameters = [nn.Parameter(torch.randn(shape, dtype=dtype)) for shape, dtype in kinds]
    twins = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    betas = (0.95,) if optimizer is Kar2 else (0.5, 0.95)
    averages = [[torch.zeros_like(twin) for _ in betas] for twin in twins]
    steps = optimizer([{"params": parameters[:3]}, {"params": parameters[3:], "lr": 0.01}], lr=0.1)
    for i in range(8):
        for parameter, twin in zip(parameters, twins, strict=True):
            parameter.grad = torch.randn_like(parameter)
            twin.grad = parameter.grad.clone()
        if i % 2:
            parameters[0].grad = twins[0].grad = None
        steps.step()
        with torch.no_grad():
            step_by_loops(twins[:3], averages[:3], 0.1, betas)
            step_by_loops(twins[3:], averages[3:], 0.01, betas)
        assert all(torch.equal(parameter, twin) for parameter, twin in zip(parameters, twins, strict=True))
    for parameter, means in zip(parameters, averages, strict=True):
        assert all(torch.equal(*pair) for pair in zip(steps.state[parameter]["averages"], means, strict=True))


@over_optimizers
def test_a_step_without_any_gradient_changes_nothing(optimizer):
    parameter = nn.Parameter(torch.ones(2))
    steps = optimizer([parameter], lr=0.1)
    steps.step()
    assert parameter.tolist() == [1.0, 1.0]
    assert not steps.state


@over_optimizers
def test_state_dict_round_trip_continues_the_same_path(optimizer):
    torch.manual_seed(0)
    gradients = torch.randn(6, 3)
    parameter = nn.Parameter(torch.zeros(3))
    steps = optimizer([parameter], lr=0.1)
    for i, gradient in enumerate(gradients):
        if i == 3:
            saved = copy.deepcopy(steps.state_dict())
            twin = nn.Parameter(parameter.detach().clone())
            steps_of_twin = optimizer([twin], lr=0.7)
            steps_of_twin.load_state_dict(saved)
        parameter.grad = gradient.clone()
        steps.step()
        if i >= 3:
            twin.grad = gradient.clone()
            steps_of_twin.step()
    assert torch.equal(twin, parameter)


@over_optimizers
def test_closure_is_called_once_and_its_loss_returned(optimizer):
    parameter = nn.Parameter(torch.ones(1))
    steps = optimizer([parameter], lr=0.1)

    def closure():
        steps.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    assert steps.step(closure).item() == 1.0
    assert parameter.item() == pytest.approx(0.9)


@over_optimizers
def test_step_lowers_a_loss(optimizer):
    torch.manual_seed(0)
    model = nn.Linear(5, 1)
    x = torch.randn(64, 5)
    y = x.sum(-1, keepdim=True)
    steps = optimizer(model.parameters(), lr=0.005)
    losses = []
    for _ in range(300):
        loss = (model(x) - y).square().mean()
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]


@over_optimizers
@pytest.mark.parametrize("lr", [-1.0, float("nan"), float("inf")])
def test_learning_rate_error_names_argument_rule_and_value(optimizer, lr):
    with pytest.raises(ValueError, match=f"^lr must .*, got {lr}"):
        optimizer([nn.Parameter(torch.ones(1))], lr=lr)


@pytest.mark.parametrize(
    ("optimizer", "options", "message"),
    [
        (Kar2, {"beta": 1.0}, "beta must .*, got 1.0"),
        (Kar2, {"beta": -0.1}, "beta must .*, got -0.1"),
        (Kar3, {"betas": (0.5, 1.0)}, r"betas must .*, got .*1\.0"),
        (Kar3, {"betas": (0.5,)}, r"betas must .*, got \(0\.5,\)"),
    ],
)
def test_beta_error_names_argument_rule_and_value(optimizer, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        optimizer([nn.Parameter(torch.ones(1))], lr=0.1, **options)


def small_model():
    """A Terminator and a head, as a task would train them."""
    return nn.Sequential(Terminator(1, 2, size=8, channels=[4, 6]), nn.Linear(6, 3))


def slow_names(model):
    return {name for name, _ in model.named_parameters() if "slow_network" in name or "_network." in name}


@pytest.mark.parametrize("slow_lr", [None, 1e-4])
def test_every_parameter_is_in_exactly_one_group(slow_lr):
    model = small_model()
    groups = param_groups(model, lr=1e-3, weight_decay=0.1, slow_lr=slow_lr)
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())


def test_slow_networks_have_their_own_learning_rate():
    model = small_model()
    groups = param_groups(model, lr=1e-3, slow_lr=1e-4)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (1e-4 if name in slow_names(model) else 1e-3), name
    assert {group["lr"] for group in param_groups(model, lr=1e-3)} == {1e-3}


def test_weight_decay_reaches_the_mixings_of_the_fast_network_alone():
    model = small_model()
    groups = param_groups(model, lr=1e-3, weight_decay=0.1)
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            assert decay[id(parameter)] == 0.0, name
        elif name not in slow_names(model):
            assert decay[id(parameter)] == 0.1, name


def test_groups_feed_an_optimizer_of_torch():
    model = small_model()
    torch.optim.AdamW(param_groups(model, lr=1e-3, weight_decay=0.1, slow_lr=1e-4))


@over_optimizers
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_gradient_that_is_not_finite_is_not_hidden(optimizer, value):
    spoiled, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    steps = optimizer([spoiled, other], lr=0.1)
    spoiled.grad, other.grad = torch.tensor([value, 1.0]), torch.ones(2)
    steps.step()
    assert torch.isnan(spoiled).tolist() == [True, False]
    assert other.isfinite().all()


@pytest.mark.parametrize(
    ("optimizer", "group", "message"),
    [
        (Kar2, {"lr": -0.1}, "lr must be a finite number of at least 0, got -0.1"),
        (Kar3, {"lr": float("nan")}, "lr must be a finite number of at least 0, got nan"),
        (Kar3, {"lr": "1e-3"}, "lr must be a finite number of at least 0, got '1e-3'"),
        (Kar2, {"beta": 1.0}, "beta must lie in 0..1, 1 excluded, got 1.0"),
        (Kar3, {"betas": (0.5, -0.1)}, "betas must lie in 0..1, 1 excluded, got -0.1"),
    ],
)
def test_options_of_a_group_are_checked(optimizer, group, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        optimizer([{"params": [nn.Parameter(torch.ones(1))], **group}], lr=0.1)


@pytest.mark.parametrize("option", ["lr", "weight_decay", "slow_lr"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "0"])
def test_rates_and_decay_of_parameter_groups_are_checked(option, value):
    with pytest.raises(ValueError, match=f"^{option} must be a finite number of at least 0, got {value!r}"):
        param_groups(nn.Linear(1, 1), **{"lr": 0.1, option: value})
