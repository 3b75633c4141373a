"""Published sizes, one builder each."""

from typing import Literal

from torch import nn

from hyperseq.backbones.terminator import Terminator
from hyperseq.nn.standardization import Statistics


def terminator_cifar(
    *,
    size: int = 32,
    mode: str = "matmul",
    statistics: Statistics = "running",
    context: Literal["sample", "batch"] = "sample",
    dropout: float = 0.0,
) -> Terminator:
    """Build the published CIFAR form: five blocks, 3 -> 12 -> 36 -> 72 -> 144 -> 288 channels, no stem.

    Local kernels 3, 9, 5, 7, twelve groups, fast weights applied as matrices (Zhang 2024, arXiv 2401.17948).

    Args:
        size: Height and width of the images in training.
        mode: ``matmul`` as published, or ``circular``.
        statistics: ``batch`` as published; by default a sample's answer does not depend on its batch.
        context: ``batch`` as published; by default a sample's answer does not depend on its batch.
        dropout: Probability of dropping an output of a block.

    Returns:
        The backbone: ``(B, 3, size, size)`` to ``(B, 288, size, size)``.

    Example:
        >>> terminator_cifar().channels
        (3, 12, 36, 72, 144, 288)
    """
    return Terminator(
        2,
        3,
        size=size,
        channels=(3, 12, 36, 72, 144, 288),
        stem=nn.Identity(),
        mode=mode,
        local_kernel_sizes=(3, 9, 5, 7),
        num_groups=12,
        statistics=statistics,
        context=context,
        dropout=dropout,
    )
