"""The slow-fast neural encoding block of the Terminator (Zhang 2024, arXiv 2401.17948)."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from hyperseq._axes import spatial_size
from hyperseq._checks import check_activations, check_choice, check_count, check_same_size
from hyperseq.functional import instance_standardize
from hyperseq.functional.hyperzzw import apply_fast_weights
from hyperseq.functional.padding import mask_padding, valid_lengths
from hyperseq.nn.channel_mixing import ChannelMixing
from hyperseq.nn.hyperzzw import GlobalHyperZZW, LocalHyperZZW
from hyperseq.nn.interactions import HyperChannelInteraction, HyperInteraction
from hyperseq.nn.recursive_gated_unit import RecursiveGatedUnit
from hyperseq.nn.standardization import BatchStandardization, GroupStandardization, Statistics

LOCAL_PAIRS = (("input", "channel"), ("channel", "input"), ("mixed", "input"), ("input", "mixed"))
"""(context, value) of the local branches, in turn: X the input, H the channel interaction, M the mixed input."""

BRANCH_GAIN = 0.3
"""Scale of the branches' first weights in the bottleneck, beside the input's."""


class SFNEBlock(nn.Module):
    """Slow-fast neural encoding: many branches side by side, mixed to the output. No residual, attention or pooling.

    With ``W = K ⊙ X`` the fast weights, K this block's global hyper-kernel, ``P`` a 1x1 mixing, IS, BS and G-IBS the
    standardisations by instance, batch and groups::

        prepared     F = IS(RGU_slow(W) + RGU_fast(X))    M = IS(P X)    H = IS(X) ⊙ hyper-channel scores of X
        1            middle              F
        2, 3, 4      global              G_F = W ⊛ F,  G_M = W ⊛ M,  G_H = W ⊛ H
        5            Si-GLU              sigmoid(G_F) ⊙ G_F
        6, 7, 8      local               GELU(BS(P local HyperZZW)) for (context, value) = (X, H), (H, X), (M, X)
        9            hyper interaction   X ⊙ sigmoid(scores of 5; of G_F in the modes other than circular)
        out          bottleneck          dropout(GELU(G-IBS(P [1 .. 9])))

    Two rows are not the paper's, because theirs would compute nothing: a standardisation behind the channel scores
    divides them out again, and a circular convolution with F, whose mean is 0, has the mean 0, so its channel scores
    are 0 (docs/differences.md). The bottleneck starts as a nearly linear map of X, so that many blocks can be stacked.

    Args:
        num_spatial_dims: Number of spatial axes d.
        in_channels: Channels C of the input and of every branch.
        out_channels: Channels of the output.
        size: Training size on each axis, which fixes the coordinates; inputs may have any size.
        mode: How global fast weights meet the values: ``circular``, ``product``, or ``matmul`` for square images. Not
            ``causal``: the standardisations and means of the block look at the whole input.
        local_kernel_sizes: One odd size per local branch; their number is free. The paper's image code has 3, 9, 5, 7.
            A fourth branch has (context, value) = (X, M), then they start again.
        omega_0: Frequency scale of all slow networks; 1 to 100 (see `SlowNetwork`).
        slow_hidden_channels: Width of the slow networks; 16 to 64.
        slow_num_layers: Multiplicative layers of the slow networks; 1 to 4.
        num_groups: Groups of the last standardisation; must divide ``out_channels``. The paper's code has 12.
        statistics: ``running``, or ``batch`` to standardise by the batch in evaluation too, as the paper's code does.
        context: ``sample``, or ``batch`` to average local contexts over the batch, as the paper's code does.
        earlier_channels: Channels of earlier blocks' outputs that are concatenated to the branches.
        dropout: Probability of dropping an output; 0 to 0.5.

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
        mode: str = "circular",
        local_kernel_sizes: Sequence[int] = (3, 5, 7),
        omega_0: float = 30.0,
        slow_hidden_channels: int = 32,
        slow_num_layers: int = 3,
        num_groups: int = 2,
        statistics: Statistics = "running",
        context: Literal["sample", "batch"] = "sample",
        earlier_channels: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.in_channels = check_count(in_channels, name="in_channels")
        self.out_channels = check_count(out_channels, name="out_channels")
        self.earlier_channels = earlier_channels
        # "causal" is missing: the block's standardisations and means would let the future through
        check_choice(mode, ("circular", "matmul", "product"), name="mode")
        if earlier_channels < 0:
            raise ValueError(f"earlier_channels must be at least 0, got {earlier_channels}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in 0..1, 1 excluded, got {dropout}")
        c = in_channels
        self.global_operator = GlobalHyperZZW(
            num_spatial_dims,
            c,
            size=size,
            mode=mode,
            hidden_channels=slow_hidden_channels,
            num_layers=slow_num_layers,
            omega_0=omega_0,
        )
        self.slow_gate = RecursiveGatedUnit(c)
        self.fast_gate = RecursiveGatedUnit(c)
        # no bias where a standardisation follows at once: it would take the constant away again
        self.mixing = ChannelMixing(c, c, bias=False)
        self.channel_interaction = HyperChannelInteraction(
            c, hidden_channels=slow_hidden_channels, num_layers=slow_num_layers, omega_0=omega_0
        )
        self.local_operators = nn.ModuleList(
            LocalHyperZZW(
                num_spatial_dims,
                c,
                kernel_size=kernel_size,
                context=context,
                hidden_channels=slow_hidden_channels,
                num_layers=slow_num_layers,
                omega_0=omega_0,
            )
            for kernel_size in local_kernel_sizes
        )
        self.local_mixings = nn.ModuleList(ChannelMixing(c, c, bias=False) for _ in local_kernel_sizes)
        self.local_standardizations = nn.ModuleList(
            BatchStandardization(c, statistics=statistics) for _ in local_kernel_sizes
        )
        self.hyper_interaction = HyperInteraction(
            num_spatial_dims,
            c,
            size=size,
            hidden_channels=slow_hidden_channels,
            num_layers=slow_num_layers,
            omega_0=omega_0,
        )
        num_branches = 6 + len(self.local_operators)
        self.bottleneck = ChannelMixing(num_branches * c + earlier_channels, out_channels, bias=False)
        self._let_the_input_through()
        self.standardization = GroupStandardization(out_channels, num_groups=num_groups, statistics=statistics)
        self.dropout = nn.Dropout(dropout)

    def _let_the_input_through(self) -> None:
        """Start as a nearly linear map of the input, so that blocks can be stacked without residuals.

        Outputs come in pairs ``gelu(z), gelu(-z)``, whose difference is z itself, and the hyper interaction, X / 2 at
        first, is read by such differences and an orthogonal matrix: "looks linear" (Balduzzi et al. 2017, arXiv
        1702.08591). The other branches, of higher degree in X, start small beside it.
        """
        num_pairs, num_inputs = self.out_channels // 2, self.in_channels // 2
        if not (num_pairs and num_inputs):
            return
        start = (5 + len(self.local_operators)) * self.in_channels
        differences = nn.init.orthogonal_(torch.empty(num_pairs, num_inputs))
        with torch.no_grad():
            self.bottleneck.weight.mul_(BRANCH_GAIN)
            from_input = self.bottleneck.weight[: 2 * num_pairs, start : start + 2 * num_inputs]
            from_input.copy_(torch.kron(differences, torch.tensor([[1.0, -1.0], [-1.0, 1.0]])))

    def hyper_kernel(self, size: int | Sequence[int] | None = None, rate: float = 1.0) -> Tensor:
        """Generate the global hyper-kernel K, ``(1, in_channels, *size)``; default size: that of training."""
        kernel: Tensor = self.global_operator.slow_network(size, rate=rate)
        return kernel

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | None = None,
        rate: float = 1.0,
        hyper_kernel: Tensor | None = None,
        earlier: Sequence[Tensor] = (),
    ) -> Tensor:
        """Encode the input.

        Args:
            x: X, ``(B, in_channels, *S)``.
            lengths: Integers ``(B,)``, one spatial axis; padding may hold anything and comes out as zero.
            rate: Step relative to training; 2.0 = every second sample.
            hyper_kernel: K, ``(1, in_channels, *S)``, if it was generated before; default: generate it now.
            earlier: Outputs of earlier blocks, ``earlier_channels`` channels in all.

        Returns:
            ``(B, out_channels, *S)``.
        """
        check_activations(x, name="x", num_spatial_dims=self.num_spatial_dims, channels=self.in_channels)
        self._check_earlier(earlier, x)
        lengths = valid_lengths(lengths, x)
        x = mask_padding(x, lengths)
        if hyper_kernel is None:
            hyper_kernel = self.hyper_kernel(spatial_size(x), rate)
        check_same_size(hyper_kernel, x, name="hyper_kernel", like_name="x")

        fast_weights = (hyper_kernel * x).to(x.dtype)
        gates = self.slow_gate(fast_weights, lengths=lengths) + self.fast_gate(x, lengths=lengths)
        middle = instance_standardize(gates, lengths=lengths)
        mixed = instance_standardize(self.mixing(x), lengths=lengths)
        standard = instance_standardize(x, lengths=lengths)
        channel = self.channel_interaction(x, values=standard, lengths=lengths)

        values = [middle, mixed, channel]
        global_branches = apply_fast_weights(fast_weights, values, mode=self.global_operator.mode, lengths=lengths)
        gated = silu(global_branches[0])
        local_branches = self._local_branches({"input": x, "mixed": mixed, "channel": channel}, lengths, rate)
        high_level = gated if self.global_operator.mode == "circular" else global_branches[0]
        interaction = self.hyper_interaction(x, high_level, lengths=lengths, rate=rate)

        branches = [middle, *global_branches, gated, *local_branches, interaction, *earlier]
        output = self.bottleneck(branches)
        output = gelu(self.standardization(output, lengths=lengths))
        dropped: Tensor = self.dropout(output)
        return dropped

    def _check_earlier(self, earlier: Sequence[Tensor], x: Tensor) -> None:
        shapes = [tuple(tensor.shape) for tensor in earlier]
        fits = all((shape[0], *shape[2:]) == (x.shape[0], *x.shape[2:]) for shape in shapes)
        if not fits or sum(shape[1] for shape in shapes) != self.earlier_channels:
            raise ValueError(
                f"earlier must have {self.earlier_channels} channels in all, in the batch and size of x "
                f"{tuple(x.shape)}, got shapes {shapes}"
            )

    def _local_branches(self, tensors: dict[str, Tensor], lengths: Tensor | None, rate: float) -> list[Tensor]:
        pairs = islice(cycle(LOCAL_PAIRS), len(self.local_operators))
        layers = zip(self.local_operators, self.local_mixings, self.local_standardizations, pairs, strict=True)
        return [
            gelu(
                standardization(
                    mixing(operator(tensors[context], tensors[value], lengths=lengths, rate=rate)), lengths=lengths
                )
            )
            for operator, mixing, standardization, (context, value) in layers
        ]
