"""Interaction modules: slow networks over channels and positions, and the functions that use their kernels."""

from collections.abc import Sequence

from torch import Tensor, nn

from hyperseq._axes import spatial_size
from hyperseq._checks import check_activations, check_count
from hyperseq.functional import hyper_channel_interaction, hyper_interaction
from hyperseq.nn.slow_network import SlowNetwork


class HyperChannelInteraction(nn.Module):
    """Weigh the channels by a score: `hyperseq.functional.hyper_channel_interaction`.

    ``H = X ⊙ sigmoid(y ⊙ k ⊙ y)``, y the mean of X over space, k a hyper-kernel over the channel axis. The score
    sums over nothing, so the kernel keeps its unit variance.

    Args:
        channels: Number of channels C.
        hidden_channels: Width of the slow network.
        num_layers: Multiplicative layers of the slow network.
        omega_0: Frequency scale of the slow network (see `SlowNetwork`).

    Shape:
        ``(B, C, *S)`` to the same.

    Raises:
        ValueError: If an option is out of range, the input has other channels, or the lengths do not fit.

    Example:
        >>> import torch
        >>> HyperChannelInteraction(8)(torch.randn(2, 8, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(self, channels: int, *, hidden_channels: int = 32, num_layers: int = 3, omega_0: float = 30.0) -> None:
        super().__init__()
        self.channels = check_count(channels, name="channels")
        self.slow_network = SlowNetwork(
            1,
            1,
            size=channels,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            omega_0=omega_0,
            summed=False,
        )

    def forward(self, x: Tensor, *, values: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Weigh the channels of ``(B, C, *S)``; ``values`` and ``lengths`` as in the function."""
        check_activations(x, name="x", channels=self.channels)
        return hyper_channel_interaction(x, self.slow_network().flatten(), values=values, lengths=lengths)


class HyperInteraction(nn.Module):
    """Weigh the input by scores of a high-level representation: `hyperseq.functional.hyper_interaction`.

    ``X ⊙ sigmoid(ss · sc)`` with ``sc = yc ⊙ kc ⊙ yc`` and ``ss = ys ⊙ ks ⊙ ys``: yc and ys are the means of Y over
    space and over channels, kc and ks hyper-kernels over channels and over space. Neither is summed over, so both
    keep their unit variance.

    Args:
        num_spatial_dims: Number of spatial axes d.
        channels: Number of channels C.
        size: Training size on each axis, which fixes the coordinates of ks.
        hidden_channels: Width of the slow networks.
        num_layers: Multiplicative layers of the slow networks.
        omega_0: Frequency scale of the slow networks (see `SlowNetwork`).

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

    def __init__(
        self,
        num_spatial_dims: int,
        channels: int,
        *,
        size: int | Sequence[int],
        hidden_channels: int = 32,
        num_layers: int = 3,
        omega_0: float = 30.0,
    ) -> None:
        super().__init__()
        self.num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.channels = check_count(channels, name="channels")
        self.channel_network = SlowNetwork(
            1,
            1,
            size=channels,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            omega_0=omega_0,
            summed=False,
        )
        self.spatial_network = SlowNetwork(
            num_spatial_dims,
            1,
            size=size,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            omega_0=omega_0,
            summed=False,
        )

    def forward(self, x: Tensor, high_level: Tensor, *, lengths: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """Weigh X by the scores of Y.

        Args:
            x: X, ``(B, C, *S)``.
            high_level: Y, ``(B, C, *S)``.
            lengths: Integers ``(B,)``, one spatial axis.
            rate: Step relative to training.

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
        )
