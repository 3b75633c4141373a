"""Learning-rate schedules as plain functions of the step; each returns the factor on the peak learning rate.

`step` counts the optimizer steps taken, 0 to `total_steps - 1`; `warmup` is the share of the steps spent rising.
"""

from collections.abc import Callable
from functools import partial
from math import cos, pi
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from tasks.errors import UserError

ScheduleName = Literal["one_cycle", "cosine", "constant"]


def one_cycle(step: int, *, total_steps: int, warmup: float) -> float:
    """Rise along a cosine from 1/25 to 1, then fall along a cosine to 1/250,000 (Smith 2018, torch's constants)."""
    peak, last = warmup * total_steps - 1, total_steps - 1
    if step < peak:
        return interpolate_cosine(1 / 25, 1.0, step / peak)
    return interpolate_cosine(1.0, 1 / 250_000, min((step - peak) / max(last - peak, 1), 1.0))


def cosine(step: int, *, total_steps: int, warmup: float) -> float:
    """Rise linearly from near 0 to 1, then fall along a cosine to 0."""
    peak = warmup * total_steps
    if step < peak:
        return (step + 1) / (peak + 1)
    return interpolate_cosine(1.0, 0.0, min((step - peak) / max(total_steps - peak, 1), 1.0))


def constant(step: int, *, total_steps: int, warmup: float) -> float:
    """Rise linearly from near 0 to 1 and stay there."""
    return min((step + 1) / (warmup * total_steps + 1), 1.0)


SCHEDULES: dict[str, Callable[..., float]] = {"one_cycle": one_cycle, "cosine": cosine, "constant": constant}


def make_schedule(name: ScheduleName, optimizer: Optimizer, *, total_steps: int, warmup: float) -> LambdaLR:
    """Attach a schedule to an optimizer, to be stepped once per optimizer step; every group keeps its own peak.

    A function of the step, unlike torch's OneCycleLR, leaves the momenta alone (Kar2 and Kar3 are defined by theirs)
    and lets a resumed training be longer than the interrupted one.

    Raises:
        UserError: If `name` is unknown, `total_steps` is below 1 or `warmup` lies outside 0 to 1.
    """
    if name not in SCHEDULES:
        raise UserError(f"name must be one of {', '.join(SCHEDULES)}, got {name!r}")
    if total_steps < 1:
        raise UserError(f"total_steps must be at least 1, got {total_steps}")
    if not 0 <= warmup <= 1:
        raise UserError(f"warmup must lie in [0, 1], got {warmup}")
    return LambdaLR(optimizer, partial(SCHEDULES[name], total_steps=total_steps, warmup=warmup))


def interpolate_cosine(start: float, end: float, share: float) -> float:
    """Interpolate along half a cosine: `share` 0 gives `start`, 1 gives `end`."""
    return end + (start - end) * (1 + cos(pi * share)) / 2
