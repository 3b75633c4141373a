"""Optimisers by name."""

from functools import partial
from typing import Any, Literal

from torch.optim import AdamW, Optimizer

from hyperseq.optim import Kar2, Kar3

OptimizerName = Literal["adamw", "kar2", "kar3"]


def make_optimizer(name: OptimizerName, groups: list[dict[str, Any]], *, lr: float) -> Optimizer:
    """Build an optimiser.

    Args:
        name: `adamw`, `kar2` or `kar3`.
        groups: Parameter groups, as `hyperseq.optim.param_groups` makes them.
        lr: Peak learning rate of groups that name none.

    Returns:
        The optimiser.

    Raises:
        ValueError: If `name` is unknown, or if a decay is asked of an optimiser that has none.
    """
    # fused: one call for all parameters; a loop over hundreds of small ones took a fifth of a step
    optimizers = {"adamw": partial(AdamW, fused=True), "kar2": Kar2, "kar3": Kar3}
    if name not in optimizers:
        raise ValueError(f"name must be one of {', '.join(optimizers)}, got {name!r}")
    decays = [group["weight_decay"] for group in groups if group.get("weight_decay")]
    if name != "adamw" and decays:
        raise ValueError(f"weight_decay must be 0 with {name}, which has none, got {decays[0]}")
    return optimizers[name](groups, lr=lr)
