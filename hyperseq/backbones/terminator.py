"""The Terminator: a stack of slow-fast neural encoding blocks."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from hyperseq._axes import spatial_size
from hyperseq._checks import as_size, check_activations, check_count
from hyperseq.functional.padding import mask_padding, valid_lengths
from hyperseq.nn import ChannelMixing, SFNEBlock
from hyperseq.nn.standardization import Statistics


class Terminator(nn.Module):
    """Features of a sequence or an image: a stem to channels[0], then SFNE blocks from channels[i-1] to channels[i].

    Nothing else stands between the blocks: no residual, no attention, no pooling (Zhang 2024, arXiv 2401.17948).

    Args:
        num_spatial_dims: Number of spatial axes d: 1 for sequences, 2 for images.
        in_channels: Channels of the input.
        size: Training size on each axis (an integer stands for all), which fixes the coordinates of the slow networks;
            inputs may have any size.
        channels: Widths: after the stem, then after each block. ``[8, 16, 32, 64]`` is three blocks.
        stem: Maps the input to ``(B, channels[0], *S)``, position by position. Default: a 1x1 mixing;
            ``torch.nn.Identity()`` for none.
        mode: ``circular``, ``product``, or ``matmul`` for square images (see `SFNEBlock`).
        local_kernel_sizes: One odd size per local branch of a block.
        omega_0: Frequency scale of the slow networks; 1 to 100 (see `SlowNetwork`).
        slow_hidden_channels: Width of the slow networks; 16 to 64.
        slow_num_layers: Multiplicative layers of the slow networks; 1 to 4.
        num_groups: Groups of each block's last standardisation; must divide every width after the stem's.
        statistics: ``running``, or ``batch`` to standardise by the batch in evaluation too, as the paper's code does.
        context: ``sample``, or ``batch`` to average local contexts over the batch, as the paper's code does.
        concatenate_earlier: Let every block's bottleneck see the outputs of all earlier blocks.
        dropout: Probability of dropping an output of a block; 0 to 0.5.

    Shape:
        ``(B, in_channels, *S)`` to features ``(B, channels[-1], *S)``.

    Raises:
        ValueError: If an option is out of range, or a tensor or the lengths do not fit.

    Example:
        >>> import torch
        >>> terminator = Terminator(1, 3, size=100, channels=[8, 16, 32])
        >>> terminator(torch.randn(2, 3, 100)).shape
        torch.Size([2, 32, 100])
    """

    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        *,
        size: int | Sequence[int],
        channels: Sequence[int],
        stem: nn.Module | None = None,
        mode: str = "circular",
        local_kernel_sizes: Sequence[int] = (3, 5, 7),
        omega_0: float = 30.0,
        slow_hidden_channels: int = 32,
        slow_num_layers: int = 3,
        num_groups: int = 2,
        statistics: Statistics = "running",
        context: Literal["sample", "batch"] = "sample",
        concatenate_earlier: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.in_channels = check_count(in_channels, name="in_channels")
        self.size = as_size(size, num_spatial_dims, name="size")
        if len(channels) < 2:
            raise ValueError(f"channels must hold the stem's width and one per block, got {list(channels)}")
        self.channels = as_size(channels, len(channels), name="channels")
        self.out_channels = self.channels[-1]
        self.concatenate_earlier = concatenate_earlier
        if isinstance(stem, nn.Identity) and in_channels != self.channels[0]:
            raise ValueError(
                f"channels must begin with the {in_channels} of in_channels without a stem, got {channels}"
            )
        self.stem = ChannelMixing(in_channels, self.channels[0]) if stem is None else stem
        self.blocks = nn.ModuleList(
            SFNEBlock(
                num_spatial_dims,
                narrow,
                wide,
                size=self.size,
                mode=mode,
                local_kernel_sizes=local_kernel_sizes,
                omega_0=omega_0,
                slow_hidden_channels=slow_hidden_channels,
                slow_num_layers=slow_num_layers,
                num_groups=num_groups,
                statistics=statistics,
                context=context,
                earlier_channels=sum(self.channels[1 : index + 1]) if concatenate_earlier else 0,
                dropout=dropout,
            )
            for index, (narrow, wide) in enumerate(zip(self.channels[:-1], self.channels[1:], strict=True))
        )

    def hyper_kernels(self, size: int | Sequence[int] | None = None, rate: float = 1.0) -> list[Tensor]:
        """Generate the global hyper-kernels of all blocks, which depend on no input.

        Args:
            size: Spatial size; default: that of training.
            rate: Step relative to training.

        Returns:
            One ``(1, channels[i], *size)`` per block.
        """
        return [block.hyper_kernel(size, rate) for block in self._sfne_blocks()]

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | None = None,
        rate: float = 1.0,
        hyper_kernels: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Compute features.

        Args:
            x: ``(B, in_channels, *S)``, or whatever a given stem takes.
            lengths: Integers ``(B,)``, one spatial axis: sample i fills positions 0..lengths[i]-1. What stands behind
                changes nothing, and features there are zero.
            rate: Step relative to training; 2.0 = every second sample.
            hyper_kernels: What `hyper_kernels` returned for this size and rate; default: generate them now.

        Returns:
            ``(B, channels[-1], *S)``.

        Raises:
            ValueError: If a tensor, the lengths, or the number of kernels do not fit.
        """
        blocks = self._sfne_blocks()
        if hyper_kernels is not None and len(hyper_kernels) != len(blocks):
            raise ValueError(f"hyper_kernels must hold one kernel per block, {len(blocks)}, got {len(hyper_kernels)}")
        if isinstance(self.stem, (ChannelMixing, nn.Identity)):
            check_activations(x, name="x", num_spatial_dims=self.num_spatial_dims, channels=self.in_channels)
            lengths = valid_lengths(lengths, x)
            features = self.stem(mask_padding(x, lengths))
        else:
            features = self.stem(x)
            check_activations(
                features, name="stem output", num_spatial_dims=self.num_spatial_dims, channels=self.channels[0]
            )
            lengths = valid_lengths(lengths, features)
        if hyper_kernels is None:
            hyper_kernels = self.hyper_kernels(spatial_size(features), rate)
        outputs: list[Tensor] = []
        for block, hyper_kernel in zip(blocks, hyper_kernels, strict=True):
            earlier = outputs if self.concatenate_earlier else ()
            features = block(features, lengths=lengths, rate=rate, hyper_kernel=hyper_kernel, earlier=earlier)
            if self.concatenate_earlier:
                outputs.append(features)
        return features

    def _sfne_blocks(self) -> list[SFNEBlock]:
        return list(self.blocks)  # type: ignore[arg-type]
