"""Optimisers of the Terminator, and parameter groups for any optimiser."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hyperseq.nn import SlowNetwork


class Kar2(torch.optim.Optimizer):
    """Sign descent with one gradient average, without weight decay.

    ``p <- p - lr (sign(g) + sign(m))``, m the average *before* this step; then ``m <- beta m + (1 - beta) g``
    (Zhang 2024, arXiv 2401.17948).

    Args:
        params: Parameters, or groups of them with options of their own.
        lr: Step size: a parameter moves by at most twice that; 1e-4 to 1e-3, a tenth of what AdamW wants.
        beta: Weight of the past in the average, in 0..1; 0.9 to 0.99.

    Raises:
        ValueError: If the step size or the weight is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> weight.grad = torch.ones(1)
        >>> Kar2([weight], lr=0.25).step(); weight.data
        tensor([0.7500])
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float, beta: float = 0.95) -> None:
        _check_step(lr, (beta,), name="beta")
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; a closure is evaluated first, with gradients, and its loss returned."""
        loss = _evaluate(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                _sign_step(parameter, self.state[parameter], lr=group["lr"], betas=(group["beta"],))
        return loss


class Kar3(torch.optim.Optimizer):
    """Sign descent with a fast and a slow gradient average, without weight decay.

    ``p <- p - lr (sign(g) + sign(m1) + sign(m2))``, m1 and m2 the averages *before* this step; then
    ``m <- beta m + (1 - beta) g`` with each its own beta (Zhang 2024, arXiv 2401.17948).

    Args:
        params: Parameters, or groups of them with options of their own.
        lr: Step size: a parameter moves by at most three times that; 1e-4 to 1e-3, a tenth of what AdamW wants.
        betas: Weights of the past in the two averages, in 0..1.

    Raises:
        ValueError: If the step size or a weight is out of range.

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
        _check_step(lr, betas, name="betas")
        super().__init__(params, {"lr": lr, "betas": tuple(betas)})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; a closure is evaluated first, with gradients, and its loss returned."""
        loss = _evaluate(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                _sign_step(parameter, self.state[parameter], lr=group["lr"], betas=group["betas"])
        return loss


def _sign_step(parameter: Tensor, state: dict[str, Any], *, lr: float, betas: Sequence[float]) -> None:
    gradient = parameter.grad
    if gradient is None:
        return
    if not state:
        state["averages"] = [torch.zeros_like(parameter) for _ in betas]
    parameter.add_(gradient.sign(), alpha=-lr)
    for average, beta in zip(state["averages"], betas, strict=True):
        parameter.add_(average.sign(), alpha=-lr)
        average.lerp_(gradient, 1 - beta)


def _evaluate(closure: Callable[[], float] | None) -> float | None:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _check_step(lr: float, betas: Sequence[float], *, name: str) -> None:
    if not lr >= 0:
        raise ValueError(f"lr must be at least 0, got {lr}")
    if not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"{name} must lie in 0..1, 1 excluded, got {betas[0] if len(betas) == 1 else betas}")


def param_groups(
    model: nn.Module, *, lr: float, weight_decay: float = 0.0, slow_lr: float | None = None
) -> list[dict[str, Any]]:
    """Sort the parameters of a model into groups that any torch optimiser takes.

    - ``weights``: matrices of the fast part, with weight decay.
    - ``biases``: vectors and scalars of the fast part, without.
    - ``slow networks``: all parameters of the slow networks, without: decay would pull frequencies to a flat kernel.

    Args:
        model: Any module.
        lr: Learning rate.
        weight_decay: Decay of the weights; 0 to 0.1.
        slow_lr: Learning rate of the slow networks; default: ``lr``.

    Returns:
        The groups that are not empty, each parameter that is trained in exactly one.

    Example:
        >>> from hyperseq import Terminator
        >>> groups = param_groups(Terminator(1, 1, size=9, channels=[2, 4]), lr=1e-3, weight_decay=0.05)
        >>> [(group["name"], group["weight_decay"]) for group in groups]
        [('weights', 0.05), ('biases', 0.0), ('slow networks', 0.0)]
    """
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
