"""A part of a network whose inner values the backward pass computes again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def call_part(part: Callable[..., Tensor], x: Tensor, *rest: Any, compute_again: bool) -> Tensor:
    """Call a part; with ``compute_again``, autograd keeps its inputs alone (Chen et al. 2016, arXiv 1604.06174)."""
    if compute_again and torch.is_grad_enabled():
        output: Tensor = checkpoint(part, x, *rest, use_reentrant=False)
        return output
    return part(x, *rest)
