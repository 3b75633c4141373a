"""Optimizers of the Terminator, and parameter groups for any optimizer."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hyperseq._checks import check_at_least_zero, check_fraction
from hyperseq.nn import SlowNetwork


class _SignDescent(torch.optim.Optimizer):
    """What Kar2 and Kar3 share: the step, and the check of every group's options."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; ValueError if one of its options is out of range."""
        options = {**self.defaults, **param_group}
        check_at_least_zero(options["lr"], name="lr")
        for beta in _betas_of(options):
            check_fraction(beta, name="betas" if "betas" in options else "beta")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; a closure is evaluated first, with gradients, and its loss returned."""
        loss = _evaluate(closure)
        for group in self.param_groups:
            _sign_step(group["params"], self.state, lr=group["lr"], betas=_betas_of(group))
        return loss


def _betas_of(group: dict[str, Any]) -> tuple[float, ...]:
    return tuple(group["betas"]) if "betas" in group else (group["beta"],)


class Kar2(_SignDescent):
    """Sign descent with one gradient average, without weight decay.

    ``p <- p - lr (sign(g) + sign(m))``, m the average before this step, then ``m <- beta m + (1 - beta) g`` (Zhang
    2024, arXiv 2401.17948). A parameter without gradient stays, and so does its average. One whose gradient
    is not finite becomes NaN, as with other optimizers.

    Args:
        params: Parameters, or groups of them with their own options.
        lr: Step size: one step moves a parameter by at most 2 lr; 1e-4 to 1e-3, a tenth of the lr of AdamW.
        beta: Weight of the past in the average, in 0..1; 0.9 to 0.99.

    Raises:
        ValueError: If lr or beta is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> weight.grad = torch.ones(1)
        >>> Kar2([weight], lr=0.25).step(); weight.data
        tensor([0.7500])
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float, beta: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "beta": beta})


class Kar3(_SignDescent):
    """Sign descent with a fast and a slow gradient average, without weight decay.

    ``p <- p - lr (sign(g) + sign(m1) + sign(m2))``, m1 and m2 the averages before this step, then
    ``m <- beta m + (1 - beta) g`` with one beta for each (Zhang 2024, arXiv 2401.17948). A parameter without gradient
    stays, and so do its averages. One whose gradient is not finite becomes NaN, as with other optimizers.

    Args:
        params: Parameters, or groups of them with their own options.
        lr: Step size: one step moves a parameter by at most 3 lr; 1e-4 to 1e-3, a tenth of the lr of AdamW.
        betas: Weights of the past in the two averages, in 0..1; 0.5 to 0.99.

    Raises:
        ValueError: If lr or a beta is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> weight.grad = torch.ones(1)
        >>> Kar3([weight], lr=0.25).step(); weight.data
        tensor([0.7500])
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.5, 0.95),
    ) -> None:
        if len(betas) != 2:
            raise ValueError(f"betas must hold two weights, got {tuple(betas)}")
        super().__init__(params, {"lr": lr, "betas": tuple(betas)})


def _sign_step(parameters: Sequence[Tensor], state: dict[Tensor, Any], *, lr: float, betas: Sequence[float]) -> None:
    """Take one step of all parameters that have a gradient, by one call per device and type in place of one each."""
    alike: dict[tuple[torch.device, torch.dtype], list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for parameter in parameters:
        if parameter.grad is not None:
            alike[parameter.device, parameter.dtype].append((parameter, parameter.grad))
            if not state[parameter]:
                state[parameter]["averages"] = [torch.zeros_like(parameter) for _ in betas]
    for pairs in alike.values():
        moved, gradients = [parameter for parameter, _ in pairs], [gradient for _, gradient in pairs]
        signs = torch._foreach_sign(gradients)
        # The sign of NaN is 0. What is not finite must be seen: g - g is NaN there and 0 elsewhere.
        torch._foreach_add_(signs, torch._foreach_sub(gradients, gradients))
        torch._foreach_add_(moved, signs, alpha=-lr)
        for index, beta in enumerate(betas):
            averages = [state[parameter]["averages"][index] for parameter in moved]
            torch._foreach_add_(moved, torch._foreach_sign(averages), alpha=-lr)
            torch._foreach_lerp_(averages, gradients, 1 - beta)


def _evaluate(closure: Callable[[], float] | None) -> float | None:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def param_groups(
    model: nn.Module, *, lr: float, weight_decay: float = 0.0, slow_lr: float | None = None
) -> list[dict[str, Any]]:
    """Sort the parameters of a model into groups that any torch optimizer takes.

    - ``weights``: matrices of the fast part, with weight decay.
    - ``biases``: vectors and scalars of the fast part, without weight decay.
    - ``slow networks``: all parameters of the slow networks, without weight decay, which would flatten the kernels.

    Args:
        model: Any module.
        lr: Learning rate; 1e-4 to 1e-2.
        weight_decay: Weight decay of the group ``weights``; 0 to 0.1.
        slow_lr: Learning rate of the slow networks; default: ``lr``.

    Returns:
        The groups that are not empty. Every trained parameter is in exactly one.

    Raises:
        ValueError: If a rate or the decay is below 0 or not finite.

    Example:
        >>> from hyperseq import Terminator
        >>> groups = param_groups(Terminator(1, 1, size=9, channels=[2, 4]), lr=1e-3, weight_decay=0.05)
        >>> [(group["name"], group["weight_decay"]) for group in groups]
        [('weights', 0.05), ('biases', 0.0), ('slow networks', 0.0)]
    """
    for name, value in (("lr", lr), ("weight_decay", weight_decay), ("slow_lr", lr if slow_lr is None else slow_lr)):
        check_at_least_zero(value, name=name)
    slow = {p for module in model.modules() if isinstance(module, SlowNetwork) for p in module.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    fast = [p for p in trained if p not in slow]
    groups = [
        {"name": "weights", "params": [p for p in fast if p.dim() > 1], "lr": lr, "weight_decay": weight_decay},
        {"name": "biases", "params": [p for p in fast if p.dim() <= 1], "lr": lr, "weight_decay": 0.0},
        {
            "name": "slow networks",
            "params": [p for p in trained if p in slow],
            "lr": lr if slow_lr is None else slow_lr,
            "weight_decay": 0.0,
        },
    ]
    return [group for group in groups if group["params"]]
