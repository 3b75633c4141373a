"""Interaction modules: slow networks over channels and positions, and the functions that use their kernels."""

from collections.abc import Sequence

from torch import Tensor, nn
from typing_extensions import Unpack

from hyperseq._axes import spatial_size
from hyperseq._checks import check_activations, check_causal_rank, check_count
from hyperseq.functional import hyper_channel_interaction, hyper_interaction
from hyperseq.functional.padding import Padding
from hyperseq.nn._options import SlowNetworkOptions, spell_out_options
from hyperseq.nn.slow_network import SlowNetwork


class HyperChannelInteraction(nn.Module):
    """Weigh the channels by a score: `hyperseq.functional.hyper_channel_interaction`.

    ``H = X ⊙ sigmoid(y ⊙ k ⊙ y)``, y the mean of X over space, k a hyper-kernel over the channel axis (Zhang 2024,
    arXiv 2401.17948). No sum runs over k, so k keeps unit variance.

    Args:
        channels: Number of channels C.
        causal: y at position t is the mean of positions 0..t; one spatial axis.
        hidden_channels: Width of the slow network; 16 to 64.
        num_layers: Multiplicative layers of the slow network; 1 to 4.
        omega_0: Frequency scale of the slow network (see `SlowNetwork`); 1 to 100.

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If an option is out of range, the input has other channels, or the lengths do not fit.

    Example:
        >>> import torch
        >>> HyperChannelInteraction(8)(torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    @spell_out_options(SlowNetwork)
    def __init__(self, channels: int, *, causal: bool = False, **slow_network: Unpack[SlowNetworkOptions]) -> None:
        super().__init__()
        self.causal = causal
        self.channels = check_count(channels, name="channels")
        self.slow_network = SlowNetwork(1, 1, size=channels, summed=False, **slow_network)

    def forward(self, x: Tensor, *, values: Tensor | None = None, lengths: Tensor | Padding | None = None) -> Tensor:
        """Weigh the channels of ``(B, C, *S)``; ``values`` and ``lengths`` as in the function."""
        check_activations(x, name="x", channels=self.channels)
        kernel = self.slow_network().flatten()
        return hyper_channel_interaction(x, kernel, values=values, lengths=lengths, causal=self.causal)

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"causal={self.causal}"


class HyperInteraction(nn.Module):
    """Weigh the input by scores of a high-level representation: `hyperseq.functional.hyper_interaction`.

    ``X ⊙ sigmoid(ss · sc)`` with ``sc = yc ⊙ kc ⊙ yc`` and ``ss = ys ⊙ ks ⊙ ys`` (Zhang 2024, arXiv 2401.17948).
    yc and ys are the means of Y over space and over channels; kc and ks are hyper-kernels over channels and over
    space. No sum runs over kc or ks, so both keep unit variance.

    Args:
        num_spatial_dims: Number of spatial axes d.
        channels: Number of channels C.
        size: Training size on each axis, which fixes the coordinates of ks.
        causal: yc at position t is the mean of positions 0..t; one spatial axis.
        hidden_channels: Width of the slow networks; 16 to 64.
        num_layers: Multiplicative layers of the slow networks; 1 to 4.
        omega_0: Frequency scale of the slow networks (see `SlowNetwork`); 1 to 100.

    Shape:
        ``(B, C, *S)`` and ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If an option is out of range, or a tensor or the lengths do not fit.

    Example:
        >>> import torch
        >>> interaction = HyperInteraction(1, 8, size=100)
        >>> interaction(torch.randn(2, 8, 100), torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    @spell_out_options(SlowNetwork)
    def __init__(
        self,
        num_spatial_dims: int,
        channels: int,
        *,
        size: int | Sequence[int],
        causal: bool = False,
        **slow_network: Unpack[SlowNetworkOptions],
    ) -> None:
        super().__init__()
        check_causal_rank(causal, num_spatial_dims)
        self.causal = causal
        self.num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.channels = check_count(channels, name="channels")
        self.channel_network = SlowNetwork(1, 1, size=channels, summed=False, **slow_network)
        self.spatial_network = SlowNetwork(num_spatial_dims, 1, size=size, summed=False, **slow_network)

    def forward(
        self, x: Tensor, high_level: Tensor, *, lengths: Tensor | Padding | None = None, rate: float = 1.0
    ) -> Tensor:
        """Weigh X by the scores of Y.

        Args:
            x: X, ``(B, C, *S)``.
            high_level: Y, ``(B, C, *S)``.
            lengths: Integers ``(B,)``, one spatial axis.
            rate: 2.0 means every second sample (see `SlowNetwork`).

        Returns:
            ``(B, C, *S)``.
        """
        check_activations(x, name="x", num_spatial_dims=self.num_spatial_dims, channels=self.channels)
        return hyper_interaction(
            x,
            high_level,
            channel_kernel=self.channel_network().flatten(),
            spatial_kernel=self.spatial_network(spatial_size(x), rate=rate),
            lengths=lengths,
            causal=self.causal,
        )

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"causal={self.causal}"
