"""The slow neural loss: local feedback between the slow networks."""

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Literal

import torch
from einops import repeat
from torch import Tensor

from hyperseq._axes import spatial_size
from hyperseq._checks import check_activations, check_choice


def slow_neural_loss(hyper_kernels: Sequence[Tensor], *, pairs: Literal["all", "consecutive"] = "all") -> Tensor:
    """Compute how far the global hyper-kernels of the blocks are apart (Zhang 2024, arXiv 2401.17948).

    ``sum over blocks i < j of mean((tile(K_i) - K_j)^2)``; tile repeats the channels of K_i, in order, up to the C_j
    channels of K_j. Add it to the loss of the task with a weight; 0.1 to 1.

    Args:
        hyper_kernels: One ``(1, C_i, *S)`` per block, all of one spatial size.
        pairs: ``all`` pairs of blocks, or ``consecutive``: j = i + 1 only.

    Returns:
        A scalar; 0 for one block.

    Raises:
        ValueError: If there is no kernel, or their spatial sizes differ.

    Example:
        >>> slow_neural_loss([torch.zeros(1, 2, 9), torch.ones(1, 4, 9)])
        tensor(1.)
    """
    check_choice(pairs, ("all", "consecutive"), name="pairs")
    if not hyper_kernels:
        raise ValueError("hyper_kernels must hold at least one kernel, got none")
    for kernel in hyper_kernels:
        check_activations(kernel, name="hyper_kernels")
    sizes = {spatial_size(kernel) for kernel in hyper_kernels}
    if len(sizes) > 1:
        raise ValueError(f"hyper_kernels must have one spatial size, got {sorted(sizes)}")
    chosen = combinations(hyper_kernels, 2) if pairs == "all" else pairwise(hyper_kernels)
    differences = [(_tile(first, second.shape[1]) - second).square().mean() for first, second in chosen]
    return torch.stack(differences).sum() if differences else hyper_kernels[0].new_zeros(())


def _tile(kernel: Tensor, channels: int) -> Tensor:
    times = -(-channels // kernel.shape[1])
    return repeat(kernel, "one c ... -> one (times c) ...", times=times)[:, :channels]
