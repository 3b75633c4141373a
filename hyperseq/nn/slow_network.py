"""The slow network: coordinates in, hyper-kernel out."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hyperseq._axes import spatial_size
from hyperseq._checks import as_size, check_activations, check_count, check_positive
from hyperseq.functional import coordinate_grid, mix_channels
from hyperseq.functional._numerics import without_autocast
from hyperseq.nn._precision import AtLeastFloat32, wide_default
from hyperseq.nn.channel_mixing import ChannelMixing

_GAMMA_SHAPE = 6.0


class SlowNetwork(AtLeastFloat32):
    """Generate a hyper-kernel of any size from coordinates, by a multiplicative filter network.

    With ``g_l(c) = sin(Omega_l c + phi_l)``::

        h_0 = g_0(c),   h_l = g_l(c) ⊙ (A_l h_{l-1} + b_l),  l = 1..M,   K = A_out h_M + b_out

    (Fathony et al. 2021; "MAGNet" in Romero et al. 2022.) Rows of Omega_l are uniform in [-1, 1) times
    ``2 pi omega_0 gamma``, gamma ~ Gamma(6 / (l + 1), 1). phi is uniform in [-pi, pi). K starts with unit variance.

    A kernel that is summed over N positions is multiplied by ``rate^d / sqrt(N)``, N the product of the extents
    (Chang et al. 2020). The sum then keeps unit variance and approximates the same integral at every rate. The factor
    is applied in ``forward``; weights are not rescaled.

    Frequencies and phases stay float32 where the network is cast to a half type: a bfloat16 near 1,000 has steps of 4.
    ``size`` is part of the state, as the buffer ``extent``: weights of another size are refused. To go on at another
    length, build the network with the size that it was trained with. Longer inputs read the kernel on.

    Args:
        num_spatial_dims: Number of axes d of the kernel.
        out_channels: Channels C of the kernel.
        size: Extents: the training size on each axis (an integer stands for all), which spans [-1, 1].
        hidden_channels: Width of the network; 16 to 64.
        num_layers: Number M of multiplicative layers; 1 to 4.
        omega_0: Frequency scale, the most important option of the slow network; 1 to 100. Too small: the kernel is
            smooth, cannot separate neighboring positions, and the training loss stalls early. Too large: the kernel
            is noise from one position to the next, and the network overfits.
        summed: Apply the factor above. False for kernels that score positions and are not summed over them.

    Shape:
        ``forward()`` gives ``(1, C, *size)``, with a modulation ``(B, C, *size)``.

    Raises:
        ValueError: If a count or size is no positive integer, omega_0 no finite number above 0, the loaded state is of
            another size, or frequencies or phases are in a half type.

    Example:
        >>> slow_network = SlowNetwork(1, 8, size=100)
        >>> slow_network().shape, slow_network(70, rate=0.5).shape
        (torch.Size([1, 8, 100]), torch.Size([1, 8, 70]))
    """

    extent: Tensor

    def __init__(
        self,
        num_spatial_dims: int,
        out_channels: int,
        *,
        size: int | Sequence[int],
        hidden_channels: int = 32,
        num_layers: int = 3,
        omega_0: float = 30.0,
        summed: bool = True,
    ) -> None:
        super().__init__()
        self.num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.out_channels = check_count(out_channels, name="out_channels")
        self.size = as_size(size, self.num_spatial_dims, name="size")
        self.hidden_channels = check_count(hidden_channels, name="hidden_channels")
        self.num_layers = check_count(num_layers, name="num_layers")
        check_positive(omega_0, name="omega_0")
        self.omega_0 = float(omega_0)
        self.summed = summed
        width, layers = self.hidden_channels, self.num_layers
        self.frequencies = nn.Parameter(torch.empty(layers + 1, width, self.num_spatial_dims, dtype=wide_default()))
        self.phases = nn.Parameter(torch.empty(layers + 1, width, dtype=wide_default()))
        self.register_buffer("extent", torch.empty(self.num_spatial_dims, dtype=torch.int64))
        self.mixings = nn.ModuleList(_SineMixing(width, width) for _ in range(layers))
        self.output = _SineMixing(width, self.out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw frequencies and phases as above; the mixings draw their own weights."""
        layer = torch.arange(1, self.num_layers + 2, dtype=torch.float32, device=self.frequencies.device)
        shapes = (_GAMMA_SHAPE / layer).expand(self.hidden_channels, -1)
        with torch.no_grad():
            # Gamma(shape, 1); torch.distributions would read values, which the meta device does not have
            gamma = torch._standard_gamma(shapes).mT[..., None]
            self.frequencies.uniform_(-1, 1).mul_(2 * math.pi * self.omega_0 * gamma)
            self.extent.copy_(torch.tensor(self.size))
        nn.init.uniform_(self.phases, -math.pi, math.pi)

    def forward(
        self,
        size: int | Sequence[int] | None = None,
        *,
        rate: float = 1.0,
        start: float | Sequence[float] = 0.0,
        modulation: Tensor | None = None,
    ) -> Tensor:
        """Generate the kernel.

        Args:
            size: Size of the kernel; default: the training size. A smaller kernel is the prefix of a larger one.
            rate: 2.0 means every second sample: the step between positions, in training positions.
            start: First position, in training positions; a number stands for all axes.
            modulation: ``(1 or B, hidden_channels, *size)``, multiplied into the last hidden state h_M.

        Returns:
            The kernel ``(1 or B, out_channels, *size)``.

        Raises:
            ValueError: If the size is not positive, the rate not above 0, or the modulation does not fit.
        """
        size = self.size if size is None else as_size(size, self.num_spatial_dims, name="size")
        self._check_digits()
        # The network is small: run all of it in the type of its frequencies.
        dtype, device = self.frequencies.dtype, self.frequencies.device
        with without_autocast(device):
            grid = coordinate_grid(size, extent=self.size, rate=rate, start=start, dtype=dtype, device=device)[None]
            hidden, *filters = self._filters(grid)
            for sine, mixing in zip(filters, self.mixings, strict=True):
                hidden = sine * _mix(mixing, hidden)
            if modulation is not None:
                self._check_modulation(modulation, size)
                hidden = hidden * modulation.to(dtype)
            kernel = _mix(self.output, hidden)
            if self.summed:
                kernel = kernel * (rate**self.num_spatial_dims / math.sqrt(math.prod(self.size)))
        return kernel.to(self.output.weight.dtype)

    def _filters(self, grid: Tensor) -> tuple[Tensor, ...]:
        """Compute the sines of all layers by one mixing."""
        angles = mix_channels(grid, weight=self.frequencies.flatten(0, 1), bias=self.phases.flatten())
        return torch.sin(angles).chunk(self.num_layers + 1, dim=1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        extent = state_dict.get(prefix + "extent")
        trained = self.size if extent is None or extent.is_meta else tuple(extent.tolist())
        if trained != self.size:
            raise ValueError(
                f"size of {prefix.removesuffix('.') or type(self).__name__} must be {trained}, with which the weights "
                f"were trained, got {self.size}: a module of that size also reads inputs of other sizes"
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_modulation(self, modulation: Tensor, size: tuple[int, ...]) -> None:
        check_activations(
            modulation, name="modulation", num_spatial_dims=self.num_spatial_dims, channels=self.hidden_channels
        )
        found = spatial_size(modulation)
        if found != size:
            raise ValueError(f"modulation must have the spatial size {size} of the kernel, got {found}")

    def extra_repr(self) -> str:
        """Describe the network in a printed model."""
        return f"{self.num_spatial_dims}, {self.out_channels}, size={self.size}, omega_0={self.omega_0}"


class _SineMixing(ChannelMixing):
    """A mixing of products of sines, drawn so that every layer keeps unit variance."""

    def reset_parameters(self) -> None:
        # The variance of a sine is 1/2, so weights of variance 2 / width give a sum of variance 1.
        bound = math.sqrt(6 / self.in_channels)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]


def _mix(mixing: nn.Module, x: Tensor) -> Tensor:
    return mix_channels(x, weight=mixing.weight.to(x.dtype), bias=mixing.bias.to(x.dtype))  # type: ignore[arg-type]
