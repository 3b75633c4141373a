"""The SFNE block as a layer for other people's models."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from hyperseq._checks import as_size, check_count
from hyperseq.functional.padding import Padding
from hyperseq.nn._foreign_models import as_lengths, channels_first, mark_kept
from hyperseq.nn._options import BlockOptions, remember_options, spell_out_options
from hyperseq.nn.sfne_block import BlockState, SFNEBlock
from hyperseq.nn.slow_network import SlowNetwork


class SequenceBlock(nn.Module):
    """Encode a sequence or an image, channels last, by one SFNE block of constant width.

    ``y = SFNEBlock(x^T)^T`` (Zhang 2024, arXiv 2401.17948; the equations stand at `SFNEBlock`). The output follows a
    GELU: a residual or a linear layer behind it is the model's own.

    Args:
        d_model: Width D; 16 to 1024. ``num_groups`` must divide it.
        l_max: Length that spans the coordinates [-1, 1] of the kernels: the training length, on images one for each
            axis (an integer stands for all). A scale and no cut: other sizes work (see `SequenceMixer`).
        num_spatial_dims: 1 for sequences, 2 for images.
        transposed: Take and return ``(B, D, *S)``.
        device: Device of the parameters.
        dtype: Type of the parameters.
        mode: ``circular`` (default), ``product``, or ``matmul`` for square images (see `SFNEBlock`).
        causal: No output reads its future; one spatial axis, no ``mode`` beside it.
        exact: With ``causal``: the gradient of an output by its future is exactly zero, in O(L^2) time.
        local_kernel_sizes: One odd size per local branch; 3 to 15.
        omega_0: Frequency scale of the slow networks; 1 to 100 (see `SlowNetwork`).
        slow_hidden_channels: Width of the slow networks; 16 to 64.
        slow_num_layers: Multiplicative layers of the slow networks; 1 to 4.
        num_groups: Groups of the last standardization; 1 to 12.
        statistics: ``running``; ``batch`` to standardize by the batch in evaluation too; or ``instance``: no sample
            sees the others, in training either.
        kernel_per: ``sample``, or ``batch`` for one local kernel per batch.
        dropout: Probability of dropping an output; 0 to 0.5.

    Shape:
        ``(B, L, D)`` to the same, any L; images ``(B, H, W, D)``.

    Raises:
        ValueError: If an option is out of range, or a tensor, mask or lengths do not fit.

    Example:
        >>> block = SequenceBlock(8, l_max=100, causal=True)
        >>> block(torch.randn(2, 100, 8)).shape
        torch.Size([2, 100, 8])
    """

    @remember_options
    @spell_out_options(SFNEBlock)
    def __init__(
        self,
        d_model: int,
        *,
        l_max: int | Sequence[int],
        num_spatial_dims: int = 1,
        transposed: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **block: Unpack[BlockOptions],
    ) -> None:
        super().__init__()
        self.d_model = self.d_output = check_count(d_model, name="d_model")
        self.transposed = transposed
        num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        l_max = as_size(l_max, num_spatial_dims, name="l_max")
        self.block = SFNEBlock(num_spatial_dims, self.d_model, self.d_model, size=l_max, **block)
        self.to(device=device, dtype=dtype)
        slow = [module for module in self.modules() if isinstance(module, SlowNetwork)]
        mark_kept(parameter for module in slow for parameter in module.parameters())

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | Padding | None = None,
        mask: Tensor | None = None,
        rate: float = 1.0,
    ) -> Tensor:
        """Encode the input.

        Args:
            x: ``(B, *S, D)``, or ``(B, D, *S)`` with ``transposed``.
            lengths: Integers ``(B,)``, one spatial axis: sample i fills positions 0..lengths[i]-1. Padding may hold
                anything; its output is zero.
            mask: Booleans ``(B, L)`` in place of lengths, True at real positions, which come first.
            rate: 2.0 means every second sample: the step relative to training.

        Returns:
            The shape of x.
        """
        x = channels_first(x, self.d_model, num_spatial_dims=self.block.num_spatial_dims, transposed=self.transposed)
        output: Tensor = self.block(x, lengths=as_lengths(lengths, mask, x), rate=rate)
        return output if self.transposed else output.movedim(1, -1)

    def initial_state(self, batch_size: int) -> BlockState:
        """Return the empty history of ``batch_size`` sequences, for the weights as they are."""
        return self.block.initial_state(batch_size)

    def prefill(self, x: Tensor, state: BlockState | None = None) -> tuple[Tensor, BlockState]:
        """Take the next positions ``(B, n, D)`` of a sequence, as `SequenceMixer.prefill` does."""
        x = channels_first(x, self.d_model, num_spatial_dims=self.block.num_spatial_dims, transposed=self.transposed)
        output, state = self.block.prefill(x, state)
        return output if self.transposed else output.mT, state

    def step(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """Take one position ``(B, D)``; return its output ``(B, D)`` and the state, which is changed in place."""
        return self.block.step(x, state)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"{self.d_model}, transposed={self.transposed}"
