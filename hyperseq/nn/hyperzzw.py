"""HyperZ·Z·W modules: a slow network, and the operator of `hyperseq.functional.hyperzzw` that uses its kernel."""

import math
from collections.abc import Sequence
from typing import Literal, overload

import torch
from torch import Tensor, nn

from hyperseq._axes import spatial_size
from hyperseq._checks import as_size, check_activations, check_choice, check_count, check_same_size
from hyperseq.functional import adaptive_mean_pool, global_hyperzzw, local_hyperzzw
from hyperseq.functional.convolution import check_mode_rank
from hyperseq.functional.hyperzzw import MODES
from hyperseq.functional.padding import mask_padding, valid_lengths
from hyperseq.nn.channel_mixing import ChannelMixing
from hyperseq.nn.slow_network import SlowNetwork


class GlobalHyperZZW(nn.Module):
    """Global HyperZ·Z·W: a hyper-kernel as large as the input, times the context, applied to the values.

    ``K = slow network(coordinates)``, ``W = K ⊙ X``, ``Y = W ⊛ V`` or another mode of
    `hyperseq.functional.global_hyperzzw`.

    Args:
        num_spatial_dims: Number of spatial axes d.
        channels: Channels C of context and values.
        size: Training size on each axis, which fixes the coordinates; inputs may have any size.
        mode: ``circular``, ``causal`` (d = 1), ``matmul`` (d = 2) or ``product``.
        hidden_channels: Width of the slow network.
        num_layers: Multiplicative layers of the slow network.
        omega_0: Frequency scale of the slow network (see `SlowNetwork`).

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If an option is out of range or the mode is not allowed for the rank.

    Example:
        >>> operator = GlobalHyperZZW(1, 8, size=100)
        >>> operator(torch.randn(2, 8, 100), torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(
        self,
        num_spatial_dims: int,
        channels: int,
        *,
        size: int | Sequence[int],
        mode: str = "circular",
        hidden_channels: int = 32,
        num_layers: int = 3,
        omega_0: float = 30.0,
    ) -> None:
        super().__init__()
        self.mode = check_choice(mode, MODES, name="mode")
        self.channels = check_count(channels, name="channels")
        self.slow_network = SlowNetwork(
            num_spatial_dims,
            channels,
            size=size,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            omega_0=omega_0,
        )
        check_mode_rank(mode, self.slow_network.size)

    @overload
    def forward(
        self,
        context: Tensor,
        values: Tensor,
        *,
        lengths: Tensor | None = ...,
        rate: float = ...,
        hyper_kernel: Tensor | None = ...,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        context: Tensor,
        values: Sequence[Tensor],
        *,
        lengths: Tensor | None = ...,
        rate: float = ...,
        hyper_kernel: Tensor | None = ...,
    ) -> list[Tensor]: ...
    def forward(
        self,
        context: Tensor,
        values: Tensor | Sequence[Tensor],
        *,
        lengths: Tensor | None = None,
        rate: float = 1.0,
        hyper_kernel: Tensor | None = None,
    ) -> Tensor | list[Tensor]:
        """Apply the operator.

        Args:
            context: X, ``(B, C, *S)``.
            values: V, ``(B, C, *S)``, or several that share one W.
            lengths: Integers ``(B,)``, one spatial axis.
            rate: Step relative to training.
            hyper_kernel: K, ``(1, C, *S)``, if it was generated before; default: generate it now.

        Returns:
            ``(B, C, *S)``; a list of them if several values came.
        """
        check_activations(
            context, name="context", num_spatial_dims=self.slow_network.num_spatial_dims, channels=self.channels
        )
        if hyper_kernel is None:
            hyper_kernel = self.slow_network(spatial_size(context), rate=rate)
        return global_hyperzzw(context, hyper_kernel, values, mode=self.mode, lengths=lengths)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"mode={self.mode!r}"


class LocalHyperZZW(nn.Module):
    """Local HyperZ·Z·W: a small kernel per sample, generated from coordinates and the context, slid over the values.

    The context is pooled to one bin per tap, mixed to the slow network's width and multiplied into its last hidden
    state, ``K = A_out (h_M ⊙ (P pool(X))) + b_out``; then ``y[n] = sum_j K[j] V[n + j - floor(k / 2)]``, zeros outside.

    Args:
        num_spatial_dims: Number of spatial axes d.
        channels: Channels C of context and values.
        kernel_size: Taps k on each axis (an integer stands for all); odd, so that the window has a centre. 3 to 15.
        context: ``sample``: every sample has its own kernel; ``batch``: one kernel from the context averaged over the
            batch, as in the paper's code, so that a sample's answer depends on its neighbours.
        hidden_channels: Width of the slow network.
        num_layers: Multiplicative layers of the slow network.
        omega_0: Frequency scale of the slow network (see `SlowNetwork`).

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If an option is out of range, a kernel size even, or a tensor or the lengths do not fit.

    Example:
        >>> operator = LocalHyperZZW(1, 8, kernel_size=5)
        >>> operator(torch.randn(2, 8, 100), torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(
        self,
        num_spatial_dims: int,
        channels: int,
        *,
        kernel_size: int | Sequence[int],
        context: Literal["sample", "batch"] = "sample",
        hidden_channels: int = 32,
        num_layers: int = 3,
        omega_0: float = 30.0,
    ) -> None:
        super().__init__()
        self.kernel_size = as_size(kernel_size, num_spatial_dims, name="kernel_size")
        if any(k % 2 == 0 for k in self.kernel_size):
            raise ValueError(f"kernel_size must be odd, so that the window has a centre, got {self.kernel_size}")
        self.context = check_choice(context, ("sample", "batch"), name="context")
        self.channels = check_count(channels, name="channels")
        self.slow_network = SlowNetwork(
            num_spatial_dims,
            channels,
            size=self.kernel_size,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            omega_0=omega_0,
        )
        self.context_mixing = ChannelMixing(channels, hidden_channels)
        # 1 + context: at first the window is that of its coordinates, and the context modulates it
        nn.init.ones_(self.context_mixing.bias)  # type: ignore[arg-type]

    def kernel(self, context: Tensor, *, lengths: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """Generate the kernel from the context.

        Args:
            context: X, ``(B, C, *S)``.
            lengths: Integers ``(B,)``, one spatial axis.
            rate: Step relative to training: the kernel has the taps of the training kernel that lie at multiples of
                ``rate`` from its centre.

        Returns:
            ``(B, C, *k)``, or ``(1, C, *k)`` with ``context="batch"``.
        """
        check_activations(
            context, name="context", num_spatial_dims=self.slow_network.num_spatial_dims, channels=self.channels
        )
        if not rate > 0:
            raise ValueError(f"rate must be above 0, got {rate}")
        pooled = adaptive_mean_pool(context, self.kernel_size, lengths=lengths)
        if self.context == "batch":
            pooled = pooled.mean(0, keepdim=True)
        mixed = self.context_mixing(pooled)
        # taps at multiples of the rate on both sides of the centre, and the context where they lie
        reach = [math.floor(k // 2 / rate + 1e-9) for k in self.kernel_size]
        starts = [k // 2 - rate * taps for k, taps in zip(self.kernel_size, reach, strict=True)]
        if rate != 1:
            for axis, (start, taps) in enumerate(zip(starts, reach, strict=True), start=2):
                mixed = _interpolate(mixed, axis, start=start, rate=rate, num_points=2 * taps + 1)
        kernel: Tensor = self.slow_network([2 * taps + 1 for taps in reach], rate=rate, start=starts, context=mixed)
        return kernel

    def forward(self, context: Tensor, values: Tensor, *, lengths: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """Apply the operator to ``context`` and ``values`` ``(B, C, *S)``; options as in `kernel`."""
        check_same_size(values, context, name="values", like_name="context")
        lengths = valid_lengths(lengths, context)
        kernel = self.kernel(context, lengths=lengths, rate=rate)
        return mask_padding(local_hyperzzw(mask_padding(values, lengths), kernel), lengths)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"kernel_size={self.kernel_size}, context={self.context!r}"


def _interpolate(x: Tensor, axis: int, *, start: float, rate: float, num_points: int) -> Tensor:
    """Read one axis at ``start + rate p``, p = 0..num_points-1, linearly between its positions."""
    position = start + rate * torch.arange(num_points, device=x.device, dtype=x.dtype)
    distance = torch.arange(x.shape[axis], device=x.device, dtype=x.dtype)[:, None] - position
    weights = (1 - distance.abs()).clamp(min=0)
    return torch.matmul(x.movedim(axis, -1), weights).movedim(-1, axis)
