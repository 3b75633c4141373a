"""The slow-fast neural encoding block of the Terminator (Zhang 2024, arXiv 2401.17948)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from hyperseq._axes import spatial_size
from hyperseq._checks import (
    check_activations,
    check_causal_rank,
    check_choice,
    check_count,
    check_fraction,
    check_same_size,
)
from hyperseq.functional import instance_standardize
from hyperseq.functional._convolution import apply_fast_weights, check_mode_rank
from hyperseq.functional.interactions import weigh_by_both_scores, weigh_by_channel_score
from hyperseq.functional.padding import Padding, as_padding, mask_padding
from hyperseq.functional.streaming import (
    ConvolutionState,
    MeanState,
    MomentState,
    WindowState,
    stream_convolution,
    stream_mean,
    stream_standardize,
    stream_window,
)
from hyperseq.nn._foreign_models import check_position
from hyperseq.nn._options import BlockMode, BlockStatistics, KernelPer, SlowNetworkOptions
from hyperseq.nn._precision import wide_default
from hyperseq.nn.channel_mixing import ChannelMixing
from hyperseq.nn.hyperzzw import GlobalHyperZZW, LocalHyperZZW
from hyperseq.nn.interactions import HyperChannelInteraction, HyperInteraction
from hyperseq.nn.recursive_gated_unit import RecursiveGatedUnit
from hyperseq.nn.standardization import BatchStandardization, GroupStandardization, InstanceStandardization

_LOCAL_PAIRS = (("input", "channel"), ("channel", "input"), ("mixed", "input"), ("input", "mixed"))
"""(context, value) of the local branches, in turn: X the input, H the channel interaction, M the mixed input."""

_BRANCH_GAIN = 0.3
"""Factor on the initial bottleneck weights of all branches but the hyper interaction."""


_FIRST_POSITIONS = 64
"""Positions for which a new history holds the kernels; the number doubles as needed."""


@dataclass
class BlockState:
    """The history of a causal `SFNEBlock`, and its kernels, which depend on no input.

    Attributes:
        kernel: The beginning of K, ``(1, C, n)``, generated ahead of the positions.
        spatial_kernel: The beginning of the kernel over positions of the hyper interaction, ``(1, 1, n)``.
        channel_kernels: Kernels over channels of the channel interaction and the hyper interaction, ``(C,)`` each.
        local_kernels: One ``(1, C, k)`` for each local branch.
        whole: History of the global operator and its three values.
        local: Histories of the local operators.
        moments: What each standardization has seen, by the name of what it standardizes.
        means: What the cumulative means have seen.
    """

    kernel: Tensor
    spatial_kernel: Tensor
    channel_kernels: tuple[Tensor, Tensor]
    local_kernels: list[Tensor]
    whole: ConvolutionState
    local: list[WindowState]
    moments: defaultdict[str, MomentState] = field(default_factory=lambda: defaultdict(MomentState))
    means: defaultdict[str, MeanState] = field(default_factory=lambda: defaultdict(MeanState))


class SFNEBlock(nn.Module):
    """Slow-fast neural encoding: parallel branches, mixed to the output. No residual, attention or pooling.

    ``W = K ⊙ X`` are the fast weights, K is the global hyper-kernel of the block, ``P`` a 1x1 mixing. IS, BS and G-IBS
    are the standardizations by instance, batch and groups (Zhang 2024, arXiv 2401.17948)::

        prepared     F = IS(RGU_slow(W) + RGU_fast(X))    M = IS(P X)    H = IS(X) ⊙ hyper-channel scores of X
        1            middle              F
        2, 3, 4      global              G_F = W ⊛ F,  G_M = W ⊛ M,  G_H = W ⊛ H
        5            Si-GLU              sigmoid(G_F) ⊙ G_F
        6, 7, 8      local               GELU(BS(P local HyperZZW)) for (context, value) = (X, H), (H, X), (M, X)
        9            hyper interaction   X ⊙ sigmoid(scores of 5; of G_F in the modes other than circular)
        out          bottleneck          dropout(GELU(G-IBS(P [1 .. 9])))

    Rows H and 9 differ from the paper (docs/differences.md). In the paper, the standardization after the channel scores
    divides the scores out again. F has mean 0, so its circular convolution has mean 0 and channel scores of 0. The
    bottleneck starts as a nearly linear map of X, so that many blocks can be stacked.

    Args:
        num_spatial_dims: Number of spatial axes d.
        in_channels: Channels C of the input and of every branch.
        out_channels: Channels of the output.
        size: Training size on each axis, which fixes the coordinates; inputs may have any size.
        mode: How the global fast weights act on the values: ``circular``, ``product``, or ``matmul`` for square images.
            Default: ``circular``, or the causal convolution with ``causal``.
        causal: No output reads its future (one spatial axis): the global operator convolves causally, the local ones
            take their context inside the window, means and standardizations run over the past. Nothing is standardized
            by batch, so ``num_groups`` has no effect.
        exact: With ``causal``: the gradient of an output by its future is exactly zero (see `GlobalHyperZZW`).
        local_kernel_sizes: One odd size per local branch, any number of them. The paper's image code has 3, 9, 5, 7.
            A fourth branch has (context, value) = (X, M); a fifth starts again with (X, H).
        omega_0: Frequency scale of all slow networks; 1 to 100 (see `SlowNetwork`).
        slow_hidden_channels: Width of the slow networks; 16 to 64.
        slow_num_layers: Multiplicative layers of the slow networks; 1 to 4.
        num_groups: Groups of the last standardization; must divide ``out_channels``; 1 to 12. The paper's code has 12.
        statistics: ``running``; ``batch`` to standardize by the batch in evaluation too, as the paper's code does; or
            ``instance`` to standardize each sample alone, without statistics of a batch and without groups.
        kernel_per: ``sample``, or ``batch`` for one local kernel per batch, as the paper's code does.
        dropout: Probability of dropping an output; 0 to 0.5.
        earlier_channels: Channels of the outputs of earlier blocks that are concatenated to the branches.
        paired_input: Start by reading differences of channel pairs (0, 1), (2, 3), ...; True for a block whose input
            is the output of another block. Training can change either start.

    Shape:
        ``(B, in_channels, *S)`` to ``(B, out_channels, *S)``.

    Raises:
        ValueError: If an option is out of range, or a tensor or the lengths do not fit.

    Example:
        >>> import torch
        >>> block = SFNEBlock(1, 8, 16, size=100)
        >>> block(torch.randn(2, 8, 100)).shape
        torch.Size([2, 16, 100])
    """

    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        size: int | Sequence[int],
        mode: BlockMode | None = None,
        causal: bool = False,
        exact: bool = False,
        local_kernel_sizes: Sequence[int] = (3, 5, 7),
        omega_0: float = 30.0,
        slow_hidden_channels: int = 32,
        slow_num_layers: int = 3,
        num_groups: int = 2,
        statistics: BlockStatistics = "running",
        kernel_per: KernelPer = "sample",
        dropout: float = 0.0,
        earlier_channels: int = 0,
        paired_input: bool = False,
    ) -> None:
        super().__init__()
        if mode is not None:
            check_choice(mode, get_args(BlockMode), name="mode")
        _check_causal_options(causal, exact, num_spatial_dims, mode, statistics, kernel_per)
        check_fraction(dropout, name="dropout")
        self.num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.in_channels = check_count(in_channels, name="in_channels")
        self.out_channels = check_count(out_channels, name="out_channels")
        self.earlier_channels = check_count(earlier_channels, name="earlier_channels", at_least=0)
        self.paired_input, self.causal = paired_input, causal
        slow_network = SlowNetworkOptions(
            hidden_channels=slow_hidden_channels, num_layers=slow_num_layers, omega_0=omega_0
        )
        c = self.in_channels
        self.global_operator = GlobalHyperZZW(
            num_spatial_dims,
            c,
            size=size,
            mode="causal" if causal else mode or "circular",
            exact=exact,
            **slow_network,
        )
        self.slow_gate = RecursiveGatedUnit(c, causal=causal)
        self.fast_gate = RecursiveGatedUnit(c, causal=causal)
        # A mixing before a standardization has no bias: the standardization subtracts constants.
        self.mixing = ChannelMixing(c, c, bias=False)
        self.channel_interaction = HyperChannelInteraction(c, causal=causal, **slow_network)
        self.local_operators = nn.ModuleList(
            LocalHyperZZW(
                num_spatial_dims, c, kernel_size=kernel_size, kernel_per=kernel_per, causal=causal, **slow_network
            )
            for kernel_size in local_kernel_sizes
        )
        self.local_mixings = nn.ModuleList(ChannelMixing(c, c, bias=False) for _ in local_kernel_sizes)
        check_choice(statistics, get_args(BlockStatistics), name="statistics")
        self.local_standardizations = nn.ModuleList(
            InstanceStandardization(causal=causal)
            if causal or statistics == "instance"
            else BatchStandardization(c, statistics=statistics)
            for _ in local_kernel_sizes
        )
        self.hyper_interaction = HyperInteraction(num_spatial_dims, c, size=size, causal=causal, **slow_network)
        num_branches = 6 + len(self.local_operators)
        self.bottleneck = _Bottleneck(
            num_branches * c + self.earlier_channels,
            self.out_channels,
            linear=slice((num_branches - 1) * c, num_branches * c),
            paired_input=paired_input,
        )
        self.standardization = (
            InstanceStandardization(causal=causal)
            if causal or statistics == "instance"
            else GroupStandardization(self.out_channels, num_groups=num_groups, statistics=statistics)
        )
        self.dropout = nn.Dropout(dropout)

    def hyper_kernel(self, size: int | Sequence[int] | None = None, rate: float = 1.0) -> Tensor:
        """Generate the global hyper-kernel K, ``(1, in_channels, *size)``; default size: that of training."""
        kernel: Tensor = self.global_operator.slow_network(size, rate=rate)
        return kernel

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | Padding | None = None,
        rate: float = 1.0,
        hyper_kernel: Tensor | None = None,
        earlier: Sequence[Tensor] = (),
    ) -> Tensor:
        """Encode the input.

        Args:
            x: X, ``(B, in_channels, *S)``.
            lengths: Integers ``(B,)``, one spatial axis. Padding may hold anything; its output is zero.
            rate: 2.0 means every second sample (see `SlowNetwork`).
            hyper_kernel: K, ``(1, in_channels, *S)``, generated before; default: generate it now.
            earlier: Outputs of earlier blocks, ``earlier_channels`` channels in all.

        Returns:
            ``(B, out_channels, *S)``.
        """
        check_activations(x, name="x", num_spatial_dims=self.num_spatial_dims, channels=self.in_channels)
        check_mode_rank(self.global_operator.mode, spatial_size(x))
        self._check_earlier(earlier, x)
        padding = as_padding(lengths, x)
        x = mask_padding(x, padding)
        if hyper_kernel is None:
            # not by the method, behind which FSDP would free the weights of this block
            hyper_kernel = self.global_operator.slow_network(spatial_size(x), rate=rate)
        check_same_size(hyper_kernel, x, name="hyper_kernel", like_name="x")

        fast_weights = (hyper_kernel * x).to(x.dtype)
        gates = self.slow_gate(fast_weights, lengths=padding) + self.fast_gate(x, lengths=padding)
        middle = instance_standardize(gates, lengths=padding, causal=self.causal)
        mixed = instance_standardize(self.mixing(x), lengths=padding, causal=self.causal)
        standard = instance_standardize(x, lengths=padding, causal=self.causal)
        channel = self.channel_interaction(x, values=standard, lengths=padding)

        values = [middle, mixed, channel]
        operator = self.global_operator
        global_branches = apply_fast_weights(
            fast_weights, values, mode=operator.mode, padding=padding, exact=operator.exact
        )
        gated = silu(global_branches[0])
        local_branches = self._local_branches({"input": x, "mixed": mixed, "channel": channel}, padding, rate)
        high_level = gated if operator.mode == "circular" else global_branches[0]
        interaction = self.hyper_interaction(x, high_level, lengths=padding, rate=rate)

        branches = [middle, *global_branches, gated, *local_branches, interaction, *earlier]
        output = self.bottleneck(branches)
        output = gelu(self.standardization(output, lengths=padding))
        dropped: Tensor = self.dropout(output)
        return dropped

    @torch.no_grad()
    def initial_state(self, batch_size: int) -> BlockState:
        """Return the empty history of ``batch_size`` sequences, for the weights as they are."""
        if not self.causal:
            raise ValueError("causal must be True for a layer that takes a sequence in pieces, got causal=False")
        batch_size = check_count(batch_size, name="batch_size")
        like, interaction = self.bottleneck.weight, self.hyper_interaction
        local_kernels = [operator.causal_kernel() for operator in self._local_operators()]
        return BlockState(
            self.hyper_kernel(_FIRST_POSITIONS),
            interaction.spatial_network(_FIRST_POSITIONS),
            (self.channel_interaction.slow_network().flatten(), interaction.channel_network().flatten()),
            local_kernels,
            ConvolutionState(batch_size, self.in_channels, num_values=3, like=like),
            [WindowState(like.new_zeros(batch_size, self.in_channels, k.shape[-1] - 1)) for k in local_kernels],
        )

    @torch.no_grad()
    def prefill(
        self, x: Tensor, state: BlockState | None = None, *, earlier: Sequence[Tensor] = ()
    ) -> tuple[Tensor, BlockState]:
        """Take the next positions of a sequence, the first ones if there is no state yet.

        Args:
            x: ``(B, in_channels, n)``.
            state: What the last call returned, which this call changes; None: the sequence begins.
            earlier: Outputs of earlier blocks at these positions, ``earlier_channels`` channels in all.

        Returns:
            The outputs ``(B, out_channels, n)`` that `forward` gives in evaluation at these positions of the whole
            sequence, without gradient, and the state.
        """
        check_activations(x, name="x", num_spatial_dims=self.num_spatial_dims, channels=self.in_channels)
        self._check_earlier(earlier, x)
        state = self.initial_state(x.shape[0]) if state is None else state
        moments, means = state.moments, state.means
        kernel, spatial_kernel = self._next_kernels(state, x.shape[-1])
        fast_weights = (kernel * x).to(x.dtype)
        gates = self.slow_gate.prefill(fast_weights, moments["slow gate"])
        gates = gates + self.fast_gate.prefill(x, moments["fast gate"])
        middle = stream_standardize(gates, moments["gates"])
        mixed = stream_standardize(self.mixing(x), moments["mixed"])
        standard = stream_standardize(x, moments["input"])
        channel = weigh_by_channel_score(standard, stream_mean(x, means["input"]), state.channel_kernels[0])

        global_branches = stream_convolution(fast_weights, [middle, mixed, channel], state.whole)
        high_level = global_branches[0]
        tensors = {"input": x, "mixed": mixed, "channel": channel}
        pairs = islice(cycle(_LOCAL_PAIRS), len(state.local))
        layers = zip(state.local_kernels, state.local, self.local_mixings, pairs, strict=True)
        local_branches = [
            gelu(
                stream_standardize(
                    mixing(stream_window(tensors[context] * tensors[value], local_kernel, window)),
                    moments[f"local {branch}"],
                )
            )
            for branch, (local_kernel, window, mixing, (context, value)) in enumerate(layers)
        ]
        mean = stream_mean(high_level, means["high level"])
        channel_kernel = state.channel_kernels[1]
        interaction = weigh_by_both_scores(x, high_level, mean, channel_kernel, spatial_kernel, causal=True)
        branches = [middle, *global_branches, silu(high_level), *local_branches, interaction, *earlier]
        return gelu(stream_standardize(self.bottleneck(branches), moments["output"])), state

    def step(self, x: Tensor, state: BlockState, *, earlier: Sequence[Tensor] = ()) -> tuple[Tensor, BlockState]:
        """Take one position ``(B, in_channels)``; return its output ``(B, out_channels)`` and the changed state."""
        check_position(x, self.in_channels)
        output, state = self.prefill(x.unsqueeze(-1), state, earlier=[each.unsqueeze(-1) for each in earlier])
        return output.squeeze(-1), state

    def extra_repr(self) -> str:
        """Describe the block in a printed model."""
        size, mode = self.global_operator.slow_network.size, self.global_operator.mode
        return (
            f"{self.num_spatial_dims}, {self.in_channels}, {self.out_channels}, size={size}, mode={mode!r}, "
            f"paired_input={self.paired_input}"
        )

    def _check_earlier(self, earlier: Sequence[Tensor], x: Tensor) -> None:
        shapes = [tuple(tensor.shape) for tensor in earlier]
        fits = all((shape[0], *shape[2:]) == (x.shape[0], *x.shape[2:]) for shape in shapes)
        if not fits or sum(shape[1] for shape in shapes) != self.earlier_channels:
            raise ValueError(
                f"earlier must have {self.earlier_channels} channels in all, in the batch and size of x "
                f"{tuple(x.shape)}, got shapes {shapes}"
            )

    def _next_kernels(self, state: BlockState, count: int) -> tuple[Tensor, Tensor]:
        """Cut the kernels to the next positions, after generating more of them where they end."""
        start, known = state.whole.position, state.kernel.shape[-1]
        if start + count > known:
            more = max(known, start + count - known)
            networks = (self.global_operator.slow_network, self.hyper_interaction.spatial_network)
            state.kernel, state.spatial_kernel = (
                torch.cat([kernel, network(more, start=known)], dim=-1)
                for kernel, network in zip((state.kernel, state.spatial_kernel), networks, strict=True)
            )
        return state.kernel[..., start : start + count], state.spatial_kernel[..., start : start + count]

    def _local_operators(self) -> list[LocalHyperZZW]:
        return list(self.local_operators)  # type: ignore[arg-type]

    def _local_branches(self, tensors: dict[str, Tensor], padding: Padding | None, rate: float) -> list[Tensor]:
        pairs = islice(cycle(_LOCAL_PAIRS), len(self.local_operators))
        layers = zip(self.local_operators, self.local_mixings, self.local_standardizations, pairs, strict=True)
        return [
            gelu(
                standardization(
                    mixing(operator(tensors[context], tensors[value], lengths=padding, rate=rate)), lengths=padding
                )
            )
            for operator, mixing, standardization, (context, value) in layers
        ]


class _Bottleneck(ChannelMixing):
    """The mixing of the branches, drawn as a nearly linear map of the input, so that blocks need no residuals.

    "Looks linear" (Balduzzi et al. 2017, arXiv 1702.08591): with ``z = D x``, D orthogonal, outputs 2 j and 2 j + 1 are
    ``gelu(z_j)`` and ``gelu(-z_j)``, whose difference is z_j. The next block reads these differences: its x is
    ``x[2 i] - x[2 i + 1]``, and a last channel without a partner itself. The channels ``linear`` are those of the hyper
    interaction, which starts as x / 2. The other branches have a higher degree in x and start small.
    """

    def __init__(self, in_channels: int, out_channels: int, *, linear: slice, paired_input: bool) -> None:
        self.linear, self.paired_input = linear, paired_input
        super().__init__(in_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        channels = self.linear.stop - self.linear.start
        num_pairs = (self.out_channels + 1) // 2
        num_read = (channels + 1) // 2 if self.paired_input else channels
        # no half type has a QR decomposition
        rotation = torch.empty(num_pairs, num_read, device=self.weight.device, dtype=wide_default())
        nn.init.orthogonal_(rotation)
        if self.paired_input:
            rotation = rotation.repeat_interleave(2, dim=1)[:, :channels]
            rotation[:, 1::2].neg_()
        with torch.no_grad():
            self.weight.mul_(_BRANCH_GAIN)
            from_input = self.weight[:, self.linear]
            from_input[0::2] = rotation
            from_input[1::2] = -rotation[: self.out_channels // 2]


def _check_causal_options(
    causal: bool, exact: bool, num_spatial_dims: int, mode: str | None, statistics: str, kernel_per: str
) -> None:
    """Refuse options that let an output read its future."""
    check_causal_rank(causal, num_spatial_dims)
    if exact and not causal:
        raise ValueError("exact must be False unless causal is True, got exact=True with causal=False")
    if causal and mode is not None:
        raise ValueError(f"mode must be None with causal=True, got {mode!r}")
    if causal and statistics == "batch":
        raise ValueError("statistics must be 'running' or 'instance' with causal=True, got 'batch'")
    if causal and kernel_per != "sample":
        raise ValueError(f"kernel_per must be 'sample' with causal=True, got {kernel_per!r}")
