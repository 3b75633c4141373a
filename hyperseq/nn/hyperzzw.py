"""HyperZ·Z·W modules: a slow network, and the operator of `hyperseq.functional.hyperzzw` that uses its kernel."""

import math
from collections.abc import Sequence
from typing import get_args, overload

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from hyperseq._axes import spatial_size
from hyperseq._checks import (
    as_size,
    check_activations,
    check_causal_rank,
    check_choice,
    check_count,
    check_positive,
    check_same_batch,
)
from hyperseq.functional import adaptive_mean_pool, causal_local_hyperzzw, global_hyperzzw, local_hyperzzw
from hyperseq.functional._convolution import check_exact, check_mode_rank
from hyperseq.functional.padding import Padding, as_padding, mask_padding
from hyperseq.nn._options import KernelPer, Mode, SlowNetworkOptions, spell_out_options
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
        exact: For ``causal``: the gradient of an output by its future is exactly zero, in O(S^2) time; the FFT leaks
            about 1e-7 of the largest gradient.
        hidden_channels: Width of the slow network; 16 to 64.
        num_layers: Multiplicative layers of the slow network; 1 to 4.
        omega_0: Frequency scale of the slow network (see `SlowNetwork`); 1 to 100.

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If an option is out of range or the mode is not allowed for the rank.

    Example:
        >>> operator = GlobalHyperZZW(1, 8, size=100)
        >>> operator(torch.randn(2, 8, 100), torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    @spell_out_options(SlowNetwork)
    def __init__(
        self,
        num_spatial_dims: int,
        channels: int,
        *,
        size: int | Sequence[int],
        mode: Mode = "circular",
        exact: bool = False,
        **slow_network: Unpack[SlowNetworkOptions],
    ) -> None:
        super().__init__()
        self.mode = check_choice(mode, get_args(Mode), name="mode")
        check_exact(exact, mode)
        self.exact = exact
        self.channels = check_count(channels, name="channels")
        self.slow_network = SlowNetwork(num_spatial_dims, channels, size=size, summed=True, **slow_network)
        check_mode_rank(mode, self.slow_network.size)

    @overload
    def forward(
        self,
        context: Tensor,
        values: Tensor,
        *,
        lengths: Tensor | Padding | None = ...,
        rate: float = ...,
        hyper_kernel: Tensor | None = ...,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        context: Tensor,
        values: Sequence[Tensor],
        *,
        lengths: Tensor | Padding | None = ...,
        rate: float = ...,
        hyper_kernel: Tensor | None = ...,
    ) -> list[Tensor]: ...
    def forward(
        self,
        context: Tensor,
        values: Tensor | Sequence[Tensor],
        *,
        lengths: Tensor | Padding | None = None,
        rate: float = 1.0,
        hyper_kernel: Tensor | None = None,
    ) -> Tensor | list[Tensor]:
        """Apply the operator.

        Args:
            context: X, ``(B, C, *S)``.
            values: V, ``(B, C, *S)``, or several that share one W.
            lengths: Integers ``(B,)``, one spatial axis.
            rate: 2.0 means every second sample (see `SlowNetwork`).
            hyper_kernel: K, ``(1, C, *S)``, generated before; default: generate it now.

        Returns:
            ``(B, C, *S)``; a list of them for several values.
        """
        check_activations(
            context, name="context", num_spatial_dims=self.slow_network.num_spatial_dims, channels=self.channels
        )
        if hyper_kernel is None:
            hyper_kernel = self.slow_network(spatial_size(context), rate=rate)
        return global_hyperzzw(context, hyper_kernel, values, mode=self.mode, lengths=lengths, exact=self.exact)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"mode={self.mode!r}"


class LocalHyperZZW(nn.Module):
    """Local HyperZ·Z·W: slide a small kernel, generated per sample from coordinates and context, over the values.

    The context is pooled to one bin per tap and mixed to the width of the slow network. It modulates the last hidden
    state: ``K = A_out (h_M ⊙ (P pool(X))) + b_out``. Then ``y[n] = sum_j K[j] V[n + j - floor(k / 2)]`` with zeros
    outside (Zhang 2024, arXiv 2401.17948).

    Args:
        num_spatial_dims: Number of spatial axes d.
        channels: Channels C of context and values.
        kernel_size: Taps k on each axis (an integer stands for all); odd, so that the window has a center. 3 to 15.
        kernel_per: ``sample``: one kernel per sample. ``batch``: one kernel for the whole batch, from the mean context,
            as in the paper's code; the output of a sample then depends on the other samples.
        causal: The context enters inside the window, ``y[t] = sum_j K[j] X[t - j] V[t - j]``, because a pooled context
            would know the future (one spatial axis). Tap j reads j positions back, so the size may be even.
        hidden_channels: Width of the slow network; 16 to 64.
        num_layers: Multiplicative layers of the slow network; 1 to 4.
        omega_0: Frequency scale of the slow network (see `SlowNetwork`); 1 to 100.

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If an option is out of range, a kernel size even, or a tensor or the lengths do not fit.

    Example:
        >>> operator = LocalHyperZZW(1, 8, kernel_size=5)
        >>> operator(torch.randn(2, 8, 100), torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    @spell_out_options(SlowNetwork)
    def __init__(
        self,
        num_spatial_dims: int,
        channels: int,
        *,
        kernel_size: int | Sequence[int],
        kernel_per: KernelPer = "sample",
        causal: bool = False,
        **slow_network: Unpack[SlowNetworkOptions],
    ) -> None:
        super().__init__()
        num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.kernel_size = as_size(kernel_size, num_spatial_dims, name="kernel_size")
        check_causal_rank(causal, num_spatial_dims)
        if not causal and any(k % 2 == 0 for k in self.kernel_size):
            raise ValueError(f"kernel_size must be odd, so that the window has a center, got {self.kernel_size}")
        self.kernel_per = check_choice(kernel_per, get_args(KernelPer), name="kernel_per")
        if causal and kernel_per != "sample":
            raise ValueError(f"kernel_per must be 'sample' with causal=True, got {kernel_per!r}")
        self.causal = causal
        self.channels = check_count(channels, name="channels")
        self.slow_network = SlowNetwork(num_spatial_dims, channels, size=self.kernel_size, summed=True, **slow_network)
        self.context_mixing = None if causal else _ContextMixing(channels, self.slow_network.hidden_channels)

    def kernel(self, context: Tensor, *, lengths: Tensor | Padding | None = None, rate: float = 1.0) -> Tensor:
        """Generate the kernel from the context.

        Args:
            context: X, ``(B, C, *S)``.
            lengths: Integers ``(B,)``, one spatial axis.
            rate: 2.0 means every second sample: the kernel has the taps of the training kernel that lie at multiples
                of ``rate`` from its center.

        Returns:
            ``(B, C, *k)``, or ``(1, C, *k)`` with ``kernel_per="batch"`` or ``causal``.
        """
        check_activations(
            context, name="context", num_spatial_dims=self.slow_network.num_spatial_dims, channels=self.channels
        )
        check_positive(rate, name="rate")
        if self.context_mixing is None:
            return self.causal_kernel(rate=rate)
        pooled = adaptive_mean_pool(context, self.kernel_size, lengths=lengths)
        if self.kernel_per == "batch":
            pooled = pooled.mean(0, keepdim=True)
        mixed = self.context_mixing(pooled)
        # Taps lie at multiples of the rate on both sides of the center. The context is interpolated at the taps.
        reach = [math.floor(k // 2 / rate + 1e-9) for k in self.kernel_size]
        starts = [k // 2 - rate * taps for k, taps in zip(self.kernel_size, reach, strict=True)]
        if rate != 1:
            for axis, (start, taps) in enumerate(zip(starts, reach, strict=True), start=2):
                mixed = _interpolate(mixed, axis, start=start, rate=rate, num_points=2 * taps + 1)
        kernel: Tensor = self.slow_network([2 * taps + 1 for taps in reach], rate=rate, start=starts, modulation=mixed)
        return kernel

    def causal_kernel(self, *, rate: float = 1.0) -> Tensor:
        """Generate the kernel of a causal operator, which depends on no context: ``(1, C, k)``, tap j at lag j rate."""
        # A branch, so that compiled code knows the number of taps: a rate can be a symbol there.
        taps = self.kernel_size[0] if rate == 1 else math.floor((self.kernel_size[0] - 1) / rate + 1e-9) + 1
        kernel: Tensor = self.slow_network(taps, rate=rate)
        return kernel

    def forward(
        self, context: Tensor, values: Tensor, *, lengths: Tensor | Padding | None = None, rate: float = 1.0
    ) -> Tensor:
        """Apply the operator to ``context`` and ``values`` ``(B, C, *S)``; options as in `kernel`."""
        check_activations(values, name="values")
        check_same_batch(values, context, name="values", like_name="context")
        padding = as_padding(lengths, context)
        kernel = self.kernel(context, lengths=padding, rate=rate)
        if self.causal:
            return causal_local_hyperzzw(context, values, kernel, lengths=padding)
        return mask_padding(local_hyperzzw(mask_padding(values, padding), kernel), padding)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"kernel_size={self.kernel_size}, kernel_per={self.kernel_per!r}, causal={self.causal}"


class _ContextMixing(ChannelMixing):
    """The mixing of the context: the modulation starts as 1 + mixed context, so near the window of the coordinates."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.ones_(self.bias)  # type: ignore[arg-type]


def _interpolate(x: Tensor, axis: int, *, start: float, rate: float, num_points: int) -> Tensor:
    """Read one axis at ``start + rate p``, p = 0..num_points-1, linearly between its positions."""
    position = start + rate * torch.arange(num_points, device=x.device, dtype=x.dtype)
    distance = torch.arange(x.shape[axis], device=x.device, dtype=x.dtype)[:, None] - position
    weights = (1 - distance.abs()).clamp(min=0)
    return torch.matmul(x.movedim(axis, -1), weights).movedim(-1, axis)
