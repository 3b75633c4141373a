"""Any optimizer, called with the parameter groups and the peak learning rate."""

from collections.abc import Callable
from typing import Any

from torch.optim import Adam, AdamW, Optimizer, SparseAdam

from tasks.errors import UserError, is_raised_within

Groups = list[dict[str, Any]]
OptimizerFactory = Callable[[Groups, float], Optimizer]


def adamw(groups: Groups, lr: float) -> Optimizer:
    """Build AdamW with torch's defaults: the optimizer of a config that names none.

    If the class AdamW were the default, jsonargparse would pass its options, such as the betas, to any optimizer that a
    user names in its place.
    """
    return AdamW(groups, lr)


def make_optimizer(factory: OptimizerFactory, groups: Groups, *, lr: float) -> Optimizer:
    """Call a factory with parameter groups and `lr`, and let Adam and AdamW update all parameters by one fused call.

    Raises:
        UserError: If the factory does not take groups and rate or returns no optimizer, or a decay is asked of an
            optimizer that has none.
    """
    try:
        optimizer = factory(groups, lr)
    except (TypeError, ValueError) as error:
        # What an optimizer of torch refuses is told in one line; an error inside an optimizer of the user is not.
        if not is_raised_within(error, {"jsonargparse", "torch"}):
            raise
        raise UserError(f"optimizer must take parameter groups and lr as (groups, lr): {error}") from error
    if isinstance(optimizer, SparseAdam):
        raise UserError("optimizer must take dense gradients, got SparseAdam")
    if not isinstance(optimizer, Optimizer):
        raise UserError(f"optimizer must return a torch.optim.Optimizer, got {type(optimizer).__name__}")
    decays = [group["weight_decay"] for group in groups if group.get("weight_decay")]
    if decays and "weight_decay" not in optimizer.defaults:
        name = type(optimizer).__name__
        raise UserError(f"weight_decay must be 0 with {name}, which has none, got {decays[0]}")
    choices = [optimizer.defaults.get(name) for name in ("fused", "foreach", "capturable", "differentiable")]
    if isinstance(optimizer, Adam) and not any(choices) and choices[:2] == [None, None]:
        # A loop over hundreds of small parameters takes a fifth of a step. Set here and not by `fused=True`: the
        # constructor would also take over the unscaling of gradients, which excludes clipping in mixed precision.
        for group in optimizer.param_groups:
            group["fused"] = all(parameter.is_floating_point() for parameter in group["params"])
    return optimizer
