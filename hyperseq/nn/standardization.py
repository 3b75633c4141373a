"""Standardization modules: the functions of the same names, and the running statistics that evaluation uses."""

from typing import get_args

import torch
from torch import Tensor, distributed, nn
from torch.distributed import ProcessGroup

from hyperseq._checks import check_activations, check_choice, check_count, check_fraction, check_positive
from hyperseq.functional import batch_standardize, instance_standardize
from hyperseq.functional._numerics import is_mapped, is_recomputed
from hyperseq.functional._standardization import (
    batch_standardize_with_moments,
    check_groups,
    join_groups,
    split_groups,
)
from hyperseq.functional.padding import Padding, as_padding
from hyperseq.nn._options import Statistics
from hyperseq.nn._precision import AtLeastFloat32, wide_default


class InstanceStandardization(nn.Module):
    """Standardize each channel of each sample over space: `hyperseq.functional.instance_standardize`.

    ``y = (x - mean) / sqrt(var + eps)``, mean and variance over the positions of one channel of one sample (Ulyanov et
    al. 2016, arXiv 1607.08022).

    Args:
        causal: Use the positions up to the current one alone; one spatial axis.
        eps: Added to the variance; 1e-6 to 1e-3.

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If eps is not above 0, ``causal`` meets more than one spatial axis, or the lengths do not fit.

    Example:
        >>> InstanceStandardization()(torch.randn(2, 3, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, *, causal: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        check_positive(eps, name="eps")
        self.causal, self.eps = causal, eps

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Standardize ``(B, C, *S)``; ``lengths`` (B,) as in the function."""
        return instance_standardize(x, lengths=lengths, causal=self.causal, eps=self.eps)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"causal={self.causal}"


class BatchStandardization(AtLeastFloat32):
    """Standardize each channel over batch and space: `hyperseq.functional.batch_standardize`.

    ``y = (x - mean) / sqrt(var + eps)`` (Ioffe and Szegedy 2015, arXiv 1502.03167). Training uses the statistics of
    the batch and updates the running statistics. Evaluation uses the running statistics, so the output of a sample does
    not depend on its batch. After n updates the running statistics are the weighted mean of those of n batches, with
    weights ``(1 - momentum)^(n - i)`` that are divided by their sum, so their first values have no weight.

    torch's `update_bn` and `convert_sync_batchnorm` know torch's classes alone and pass over this one. Use
    `hyperseq.nn.update_statistics` and `hyperseq.nn.synchronize_statistics`. Backward uses the output: an operation in
    place behind this layer raises torch's error.

    Args:
        channels: Number of channels C.
        statistics: ``running``, or ``batch`` to use the batch in evaluation too, as the code of Zhang 2024 does.
        momentum: Weight of the newest batch in the running statistics, 0 to 1; 0.01 to 0.3. None: all batches count
            alike.
        eps: Added to the variance; 1e-6 to 1e-3.

    Shape:
        ``(B, C, *S)`` to the same. Buffers ``running_mean`` and ``running_var``: ``(C,)``, in float32 where the layer
        is cast to a half type.

    Raises:
        ValueError: If an option is out of range, the input has other channels, or the lengths do not fit.

    Example:
        >>> BatchStandardization(3)(torch.randn(2, 3, 100)).shape
        torch.Size([2, 3, 100])
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self, channels: int, *, statistics: Statistics = "running", momentum: float | None = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.channels = check_count(channels, name="channels")
        self.statistics = check_choice(statistics, get_args(Statistics), name="statistics")
        if momentum is not None:
            check_fraction(momentum, name="momentum")
        check_positive(eps, name="eps")
        self.momentum, self.eps = momentum, eps
        self.synchronized = False
        self.process_group: ProcessGroup | None = None
        self.register_buffer("running_mean", torch.empty(self.channels, dtype=wide_default()))
        self.register_buffer("running_var", torch.empty(self.channels, dtype=wide_default()))
        self.register_buffer("num_batches_tracked", torch.empty((), dtype=torch.int64))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Forget all batches: mean 0 and variance 1 until the first update."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Standardize ``(B, C, *S)``; ``lengths`` (B,) as in the function."""
        check_activations(x, name="x", channels=self.channels)
        self._check_digits()
        if not self.training and self.statistics == "running":
            return batch_standardize(x, mean=self.running_mean, var=self.running_var, lengths=lengths, eps=self.eps)
        if self.training and not torch.compiler.is_compiling() and is_mapped(x):
            raise RuntimeError(
                "BatchStandardization must be in evaluation mode under torch.vmap, got training mode: "
                "the samples of a mapped axis would each change the running statistics"
            )
        y, mean, var = batch_standardize_with_moments(x, lengths=lengths, eps=self.eps, across=self._processes())
        # The batch of a checkpoint that is computed again has been counted.
        if self.training and not is_recomputed():
            self._update(mean, var)
        return y

    def _processes(self) -> ProcessGroup | None:
        if not self.synchronized or not distributed.is_initialized():
            return None
        return distributed.group.WORLD if self.process_group is None else self.process_group

    def _update(self, mean: Tensor, var: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        count = self.num_batches_tracked.to(self.running_mean.dtype)
        # 1 - (1 - momentum)^n is the sum of the weights of n batches
        weight = 1 / count if self.momentum is None else self.momentum / (1 - (1 - self.momentum) ** count)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(var.to(self.running_var.dtype), weight)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"{self.channels}, statistics={self.statistics!r}, momentum={self.momentum}"


class GroupStandardization(nn.Module):
    """Standardize groups of channels in turn by batch and by instance (G-IBS): `hyperseq.functional.group_standardize`.

    Groups 0, 2, ... go through a `BatchStandardization`, groups 1, 3, ... through an instance standardization (Zhang
    2024, arXiv 2401.17948).

    Args:
        channels: Number of channels C.
        num_groups: Number of equal groups of consecutive channels; must divide C; 1 to 12. The paper's code has 12.
        statistics: ``running`` or ``batch``, as in `BatchStandardization`.
        eps: Added to the variance; 1e-6 to 1e-3.

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If the groups do not divide the channels, the input has other channels, or the lengths do not fit.

    Example:
        >>> GroupStandardization(4, num_groups=2)(torch.randn(2, 4, 100)).shape
        torch.Size([2, 4, 100])
    """

    def __init__(
        self, channels: int, *, num_groups: int = 2, statistics: Statistics = "running", eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.channels = check_count(channels, name="channels")
        self.num_groups, self.eps = check_groups(num_groups, self.channels), eps
        batch_channels = (self.num_groups + 1) // 2 * (self.channels // self.num_groups)
        self.batch = BatchStandardization(batch_channels, statistics=statistics, eps=eps)

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        """Standardize ``(B, C, *S)``; ``lengths`` (B,) as in the function."""
        check_activations(x, name="x", channels=self.channels)
        padding = as_padding(lengths, x)
        by_batch, by_instance = split_groups(x, self.num_groups)
        by_batch = self.batch(by_batch, lengths=padding)
        if by_instance is not None:
            by_instance = instance_standardize(by_instance, lengths=padding, eps=self.eps)
        return join_groups(by_batch, by_instance, self.num_groups)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"{self.channels}, num_groups={self.num_groups}"
