"""What must not be computed in half types."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return a float16 or bfloat16 tensor as float32, others as they are: for sums over long axes and transforms."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
