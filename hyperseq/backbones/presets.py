"""Published sizes, one class each."""

from collections.abc import Sequence

from torch import nn

from hyperseq._checks import as_size
from hyperseq.backbones.terminator import Terminator
from hyperseq.nn._options import BlockMode, BlockStatistics, KernelPer, remember_options


class TerminatorCIFAR(Terminator):
    """Build the published CIFAR form: five blocks, 3 -> 12 -> 36 -> 72 -> 144 -> 288 channels, no stem.

    Local kernels 3, 9, 5, 7, twelve groups, ``W V`` as a matrix product over the two axes (Zhang 2024, arXiv
    2401.17948). A config that names the class needs no option: the data give the first three.

    Args:
        num_spatial_dims: Must be 2: the preset is for images.
        in_channels: Must be 3: the preset is for color images.
        size: Height and width of the images in training, an integer or two equal ones.
        mode: ``matmul`` as published, ``circular`` or ``product``.
        statistics: ``running``; ``batch`` as published, where the output of a sample depends on its batch; or
            ``instance`` (see `hyperseq.nn.SFNEBlock`).
        kernel_per: ``sample``, or ``batch`` as published, where the output of a sample depends on its batch.
        omega_0: Frequency scale of the slow networks; 1 to 100 (see `hyperseq.nn.SlowNetwork`).
        dropout: Probability of dropping an output of a block; 0 to 0.5.

    Shape:
        ``(B, 3, size, size)`` to ``(B, 288, size, size)``.

    Raises:
        ValueError: If the data are no square color images, or an option is out of range.

    Example:
        >>> TerminatorCIFAR().channels
        (3, 12, 36, 72, 144, 288)
    """

    @remember_options
    def __init__(
        self,
        num_spatial_dims: int = 2,
        in_channels: int = 3,
        *,
        size: int | Sequence[int] = 32,
        mode: BlockMode = "matmul",
        statistics: BlockStatistics = "running",
        kernel_per: KernelPer = "sample",
        omega_0: float = 30.0,
        dropout: float = 0.0,
    ) -> None:
        if num_spatial_dims != 2:
            raise ValueError(f"num_spatial_dims must be 2 for the preset TerminatorCIFAR, got {num_spatial_dims!r}")
        if in_channels != 3:
            raise ValueError(f"in_channels must be 3 for the preset TerminatorCIFAR, got {in_channels!r}")
        height, width = as_size(size, 2, name="size")
        if height != width:
            raise ValueError(f"size must be square for the preset TerminatorCIFAR, got {(height, width)}")
        super().__init__(
            2,
            3,
            size=(height, width),
            channels=(3, 12, 36, 72, 144, 288),
            stem=nn.Identity(),
            mode=mode,
            local_kernel_sizes=(3, 9, 5, 7),
            num_groups=12,
            statistics=statistics,
            kernel_per=kernel_per,
            omega_0=omega_0,
            dropout=dropout,
        )
