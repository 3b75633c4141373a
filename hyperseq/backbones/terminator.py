"""The Terminator: a stack of slow-fast neural encoding blocks."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from hyperseq._axes import crop, spatial_size
from hyperseq._checks import as_size
from hyperseq.backbones._checkpoint import call_part
from hyperseq.backbones._stem import StemmedBackbone
from hyperseq.functional.padding import Padding
from hyperseq.nn import ChannelMixing, SFNEBlock, TokenEmbedding
from hyperseq.nn._options import BlockOptions, remember_options, spell_out_options
from hyperseq.nn.sfne_block import BlockState


class Terminator(StemmedBackbone):
    """Compute features of a sequence or an image: a stem to channels[0], then blocks from channels[i-1] to channels[i].

    ``features = block_n(... block_1(stem(x)))``, with no residual, attention or pooling between the blocks (Zhang 2024,
    arXiv 2401.17948).

    Args:
        num_spatial_dims: Number of spatial axes d: 1 for sequences, 2 for images.
        in_channels: Channels of the input.
        size: Training size of the input on each axis (an integer stands for all), which fixes the coordinates of the
            slow networks; inputs may have any size.
        channels: Widths: after the stem, then after each block. ``[8, 16, 32, 64]`` is three blocks.
        stem: Maps the input to ``(B, channels[0], *S)``. Default: a 1x1 mixing; ``torch.nn.Identity()`` for none. A
            stem that changes the size has a method ``output_lengths(lengths)``: integer in, integer out, and tensor in,
            tensor out; it holds for every axis. A stem whose forward takes ``lengths`` gets them. One whose forward
            takes ``rate`` gives features with the step of training at every rate; its ``output_lengths`` takes
            ``rate``, too. Any other stem should act on each position alone where a rate is not 1.
        mode: ``circular`` (default), ``product``, or ``matmul`` for square images (see `SFNEBlock`).
        causal: No feature reads its future; one spatial axis, no ``mode`` beside it (see `SFNEBlock`).
        exact: With ``causal``: the gradient of a feature by its future is exactly zero, in O(S^2) time.
        local_kernel_sizes: One odd size per local branch of a block; 3 to 15.
        omega_0: Frequency scale of the slow networks; 1 to 100 (see `SlowNetwork`).
        slow_hidden_channels: Width of the slow networks; 16 to 64.
        slow_num_layers: Multiplicative layers of the slow networks; 1 to 4.
        num_groups: Groups of the last standardization of each block; must divide every width but the first; 1 to 12.
        statistics: ``running``; ``batch`` to standardize by the batch in evaluation too, as the paper's code does; or
            ``instance`` to standardize each sample alone, without statistics of a batch and without groups.
        kernel_per: ``sample``, or ``batch`` for one local kernel per batch, as the paper's code does.
        dropout: Probability of dropping an output of a block; 0 to 0.5.
        concatenate_earlier: Concatenate the outputs of all earlier blocks to the branches of every block.
        checkpoint: Keep the inputs of each block alone for the backward pass, which computes the rest again: less
            memory, more time, the same gradients.

    Shape:
        ``(B, in_channels, *S)``, or what the given stem takes, to features ``(B, channels[-1], *S)``.

    Raises:
        ValueError: If an option is out of range, or a tensor or the lengths do not fit.
        TypeError: If an option is unknown.

    Example:
        >>> import torch
        >>> terminator = Terminator(1, 3, size=100, channels=[8, 16, 32])
        >>> terminator(torch.randn(2, 3, 100)).shape
        torch.Size([2, 32, 100])
    """

    @remember_options
    @spell_out_options(SFNEBlock)
    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        *,
        size: int | Sequence[int],
        channels: Sequence[int],
        stem: nn.Module | None = None,
        concatenate_earlier: bool = False,
        checkpoint: bool = False,
        **block: Unpack[BlockOptions],
    ) -> None:
        if not isinstance(channels, Sequence) or len(channels) < 2:
            raise ValueError(f"channels must hold the stem's width and one per block, got {channels!r}")
        widths = as_size(channels, len(channels), name="channels")
        super().__init__(
            num_spatial_dims, in_channels, widths[0], stem, rule="channels must begin with", given=list(channels)
        )
        self.size = as_size(size, self.num_spatial_dims, name="size")
        self.channels = widths
        self.out_channels = widths[-1]
        self.concatenate_earlier, self.checkpoint = concatenate_earlier, checkpoint
        self.blocks = nn.ModuleList(
            SFNEBlock(
                self.num_spatial_dims,
                narrow,
                wide,
                size=self._feature_size(self.size),
                earlier_channels=sum(widths[1 : index + 1]) if concatenate_earlier else 0,
                # the stem's channels come in no pairs
                paired_input=index > 0,
                **block,
            )
            for index, (narrow, wide) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )

    def hyper_kernels(self, size: int | Sequence[int] | None = None, rate: float = 1.0) -> list[Tensor]:
        """Generate the global hyper-kernels of all blocks, which depend on no input.

        The kernels are made outside the forward of the blocks. Where FSDP2 shards each block, call
        `torch.distributed.fsdp.register_fsdp_forward_method` with each block and ``"hyper_kernel"`` first.

        Args:
            size: Spatial size of the input; default: the training size.
            rate: 2.0 means every second sample: the step relative to training.

        Returns:
            One ``(1, channels[i], *F)`` per block, F the size of the features.
        """
        size = self.size if size is None else as_size(size, self.num_spatial_dims, name="size")
        return self._kernels_of_features(self._feature_size(size, rate), self._feature_rate(rate))

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | Padding | None = None,
        rate: float = 1.0,
        hyper_kernels: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Compute features.

        Args:
            x: ``(B, in_channels, *S)``, or what the stem takes: ids ``(B, S)`` for a `hyperseq.nn.TokenEmbedding`.
            lengths: Integers ``(B,)``, one spatial axis: sample i fills positions 0..lengths[i]-1. The padding behind
                them has no effect, and features there are zero.
            rate: 2.0 means every second sample: the step relative to training.
            hyper_kernels: Kernels from `hyper_kernels` at this rate, at least as large as the features: their
                beginnings are used. Default: generate them now.

        Returns:
            ``(B, channels[-1], *F)``, F the size after the stem.

        Raises:
            ValueError: If a tensor, the lengths, or number or size of the kernels do not fit.
        """
        features, padding = self._embed(x, lengths, rate)
        size, rate = spatial_size(features), self._feature_rate(rate)
        # A block generates its own kernel inside its forward, where FSDP has gathered its weights.
        kernels = [None] * len(self.blocks) if hyper_kernels is None else self._beginnings(hyper_kernels, size)
        outputs: list[Tensor] = []
        for block, kernel in zip(self._sfne_blocks(), kernels, strict=True):
            # A copy of the list: the block is computed again when later outputs have been appended.
            encode = partial(block, lengths=padding, rate=rate, hyper_kernel=kernel, earlier=tuple(outputs))
            features = call_part(encode, features, compute_again=self.checkpoint)
            if self.concatenate_earlier:
                outputs.append(features)
        return features

    def initial_state(self, batch_size: int) -> list[BlockState]:
        """Return the empty histories of the blocks for ``batch_size`` sequences, for the weights as they are."""
        if not isinstance(self.stem, (ChannelMixing, nn.Identity, TokenEmbedding)):
            raise ValueError(
                "stem must act on each position alone (None, torch.nn.Identity or TokenEmbedding) for a network that "
                f"takes a sequence in pieces, got {type(self.stem).__name__}"
            )
        return [block.initial_state(batch_size) for block in self._sfne_blocks()]

    @torch.no_grad()
    def prefill(self, x: Tensor, state: list[BlockState] | None = None) -> tuple[Tensor, list[BlockState]]:
        """Take the next positions of a sequence, the first ones if there is no state yet (``causal`` only).

        Args:
            x: ``(B, in_channels, n)``, or ids ``(B, n)`` for a `hyperseq.nn.TokenEmbedding`.
            state: What the last call returned, which this call changes; None: the sequence begins.

        Returns:
            The features ``(B, channels[-1], n)`` that `forward` gives in evaluation at these positions of the whole
            sequence, without gradient, and the state.

        Raises:
            ValueError: If the network is not causal, its stem reads several positions, or a tensor does not fit.
        """
        features, _ = self._embed(x, None)
        state = self.initial_state(features.shape[0]) if state is None else state
        outputs: list[Tensor] = []
        for block, past in zip(self._sfne_blocks(), state, strict=True):
            features, _ = block.prefill(features, past, earlier=outputs if self.concatenate_earlier else ())
            outputs.append(features)
        return features, state

    def step(self, x: Tensor, state: list[BlockState]) -> tuple[Tensor, list[BlockState]]:
        """Take one position ``(B, in_channels)``, or ids ``(B,)``; return its features and the changed state."""
        features, state = self.prefill(x.unsqueeze(-1), state)
        return features.squeeze(-1), state

    def extra_repr(self) -> str:
        """Describe the network in a printed model."""
        mode = self._sfne_blocks()[0].global_operator.mode
        return (
            f"{self.num_spatial_dims}, {self.in_channels}, size={self.size}, channels={self.channels}, mode={mode!r}, "
            f"concatenate_earlier={self.concatenate_earlier}"
        )

    def _feature_size(self, size: Sequence[int], rate: float = 1.0) -> tuple[int, ...]:
        return tuple(self.output_lengths(extent, rate) for extent in size)

    def _feature_rate(self, rate: float) -> float:
        return 1.0 if self._stem_takes_rate else rate

    def _kernels_of_features(self, size: Sequence[int], rate: float) -> list[Tensor]:
        return [block.hyper_kernel(size, rate) for block in self._sfne_blocks()]

    def _beginnings(self, hyper_kernels: Sequence[Tensor], size: tuple[int, ...]) -> list[Tensor]:
        """Cut kernels to the size of the features: the kernel of a smaller input is the prefix of a larger one."""
        if len(hyper_kernels) != len(self.blocks):
            raise ValueError(
                f"hyper_kernels must hold one kernel per block, {len(self.blocks)}, got {len(hyper_kernels)}"
            )
        beginnings = []
        for kernel in hyper_kernels:
            found = spatial_size(kernel)
            if len(found) != len(size) or any(extent < needed for extent, needed in zip(found, size, strict=True)):
                raise ValueError(
                    f"hyper_kernels must have at least the spatial size {size} of the features, got {found}"
                )
            beginnings.append(kernel if found == size else crop(kernel, start=[0] * len(size), size=size))
        return beginnings

    def _sfne_blocks(self) -> list[SFNEBlock]:
        return list(self.blocks)  # type: ignore[arg-type]
