"""Orders in which a sequence of pixels is read. The published orders differ, so results of different ones do too."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tasks.errors import UserError

Permutation = Literal["none", "bit_reversal"] | int
"""`bit_reversal` (S4, S5), or the seed of NumPy's `RandomState`: 92916 in older papers, 0 in CKConv and CCNN."""


def bit_reversal(num_positions: int) -> Tensor:
    """Reverse the binary digits of each number that has as many as `num_positions - 1`, and keep the valid ones.

    The result is the position that is read at each step, `(num_positions,)`.
    """
    num_bits = (num_positions - 1).bit_length()
    numbers = torch.arange(2**num_bits)
    order = torch.zeros_like(numbers)
    for bit in range(num_bits):
        order = 2 * order + ((numbers >> bit) & 1)
    return order[order < num_positions]


def reading_order(permutation: Permutation, num_positions: int) -> Tensor | None:
    """Compute the position that is read at each step, `(num_positions,)`, or `None` for ascending positions.

    Raises:
        UserError: If there is no such permutation.
    """
    if permutation == "none":
        return None
    if permutation == "bit_reversal":
        return bit_reversal(num_positions)
    if isinstance(permutation, int) and not isinstance(permutation, bool) and 0 <= permutation < 2**32:
        return torch.from_numpy(np.random.RandomState(permutation).permutation(num_positions))
    raise UserError(f"permutation must be none, bit_reversal or a seed from 0 to 2**32 - 1, got {permutation!r}")
