"""The sequence mixer: HyperZ·Z·W as a light layer for other people's models."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad
from typing_extensions import Unpack

from hyperseq._checks import check_choice, check_count, check_positive
from hyperseq.functional import global_hyperzzw, mix_channels
from hyperseq.functional._convolution import check_exact, convolve_in_blocks, convolve_shared
from hyperseq.functional._numerics import at_least_float32
from hyperseq.functional.padding import Padding, as_padding, mask_padding
from hyperseq.functional.streaming import ConvolutionState, WindowState, stream_convolution, stream_window
from hyperseq.nn._foreign_models import as_lengths, channels_first, check_position, mark_kept
from hyperseq.nn._options import SlowNetworkOptions, remember_options, spell_out_options
from hyperseq.nn.hyperzzw import LocalHyperZZW
from hyperseq.nn.slow_network import SlowNetwork

ContextIn = Literal["values", "kernel"]

_SHORTEST_MEMORY = 4.0
"""Time constant, in positions, of the fastest channel at the start."""

_FIRST_POSITIONS = 64
"""Positions for which a new history holds the global kernel; the number doubles as needed."""


@dataclass
class MixerState:
    """The history of a causal `SequenceMixer`, and its kernels, which depend on no input.

    Attributes:
        inputs: The last inputs that the short window reads, ``(B, D, short_kernel_size - 1)``.
        local: History of the local operator.
        whole: History of the global operator.
        local_kernel: ``(1, D, k)``.
        kernel: The beginning of K, ``(1, D, n)``, generated ahead of the positions.
    """

    inputs: Tensor
    local: WindowState
    whole: ConvolutionState
    local_kernel: Tensor
    kernel: Tensor


class SequenceMixer(nn.Module):
    """Mix the positions of a sequence by one global and one local HyperZ·Z·W, at about the cost of a Hyena layer.

    Context X, value V and gate G are projections of the input, each through a short depthwise window::

        Y = P_out( G ⊙ (global + local) )
        global = K ⊛ (X ⊙ V)  with context_in="values",   (K ⊙ (X + b)) ⊛ V  with context_in="kernel"

    K comes from a slow network. In a causal layer, K fades: it is multiplied by ``exp(-t / tau)``, with one learned
    time constant per channel, which starts between 4 and ``l_max`` positions. Otherwise ⊛ is circular. ``local`` is
    the operator of `LocalHyperZZW` (Zhang 2024, arXiv 2401.17948; the projections and the gate are those of Hyena, Poli
    et al. 2023, arXiv 2302.10866).

    Args:
        d_model: Width D; 16 to 1024.
        l_max: Length that spans the coordinates [-1, 1] of K: the training length. A scale and no cut: a shorter input
            uses the beginning of K, a longer one continues K at coordinates beyond 1, which training has not seen.
        causal: No output reads its future.
        context_in: ``values``: one K for all samples, the cheaper form. ``kernel``: the paper's fast weights, a kernel
            per sample, with a learned bias b, the part of the kernel that depends on no input.
        exact: With ``causal``: the gradient of an output by its future is exactly zero, in O(L^2) time. Through the FFT
            it is within 1e-6 of the largest gradient.
        short_kernel_size: Taps of the short window; odd unless causal; 1 to 7.
        local_kernel_size: Taps of the local operator; odd unless causal; 3 to 31.
        transposed: Take and return ``(B, D, L)``.
        device: Device of the parameters.
        dtype: Type of the parameters.
        hidden_channels: Width of the slow networks; 16 to 64.
        num_layers: Multiplicative layers of the slow networks; 1 to 4.
        omega_0: Frequency scale of the slow networks (see `SlowNetwork`); 1 to 100.

    Shape:
        ``(B, L, D)`` to the same, any L.

    Raises:
        ValueError: If an option is out of range, or a tensor, mask or lengths do not fit.

    Example:
        >>> mixer = SequenceMixer(8, l_max=100, causal=True)
        >>> mixer(torch.randn(2, 100, 8)).shape
        torch.Size([2, 100, 8])
    """

    @remember_options
    @spell_out_options(SlowNetwork)
    def __init__(
        self,
        d_model: int,
        *,
        l_max: int,
        causal: bool = False,
        context_in: ContextIn = "values",
        exact: bool = False,
        short_kernel_size: int = 3,
        local_kernel_size: int = 7,
        transposed: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **slow_network: Unpack[SlowNetworkOptions],
    ) -> None:
        super().__init__()
        self.d_model = self.d_output = check_count(d_model, name="d_model")
        self.l_max = check_count(l_max, name="l_max")
        self.context_in = check_choice(context_in, get_args(ContextIn), name="context_in")
        self.causal, self.exact, self.transposed = causal, exact, transposed
        check_exact(exact, self._mode)
        width = 3 * self.d_model
        self.short_kernel_size = check_count(short_kernel_size, name="short_kernel_size")
        if not causal and self.short_kernel_size % 2 == 0:
            raise ValueError(f"short_kernel_size must be odd unless causal is True, got {self.short_kernel_size}")
        self.input_weight = nn.Parameter(torch.empty(width, self.d_model))
        self.short_weight = nn.Parameter(torch.empty(width, self.short_kernel_size))
        self.short_bias = nn.Parameter(torch.empty(width))
        self.output_weight = nn.Parameter(torch.empty(self.d_model, self.d_model))
        self.output_bias = nn.Parameter(torch.empty(self.d_model))
        self.context_bias = nn.Parameter(torch.empty(self.d_model)) if context_in == "kernel" else None
        self.log_time = nn.Parameter(torch.empty(self.d_model)) if causal else None
        # the fading of a causal kernel has a scale of its own
        self.slow_network = SlowNetwork(1, self.d_model, size=self.l_max, summed=not causal, **slow_network)
        self.local_operator = LocalHyperZZW(
            1, self.d_model, kernel_size=local_kernel_size, causal=causal, **slow_network
        )
        self.reset_parameters()
        self.to(device=device, dtype=dtype)
        kept = [self.short_bias, self.output_bias, self.context_bias, self.log_time]
        mark_kept([*self.slow_network.parameters(), *self.local_operator.parameters(), *kept])

    @property
    def _mode(self) -> str:
        return "causal" if self.causal else "circular"

    def reset_parameters(self) -> None:
        """Draw the projections as `torch.nn.Linear` does, and the time constants evenly in their logarithm."""
        bound = 1 / math.sqrt(self.d_model)
        for weight in (self.input_weight, self.output_weight):
            nn.init.uniform_(weight, -bound, bound)
        bound = 1 / math.sqrt(self.short_kernel_size)
        nn.init.uniform_(self.short_weight, -bound, bound)
        nn.init.zeros_(self.short_bias)
        nn.init.zeros_(self.output_bias)
        if self.context_bias is not None:
            nn.init.ones_(self.context_bias)
        if self.log_time is not None:
            shortest, longest = math.log(_SHORTEST_MEMORY), math.log(max(self.l_max, _SHORTEST_MEMORY))
            with torch.no_grad():
                times = torch.linspace(shortest, longest, self.d_model)
                self.log_time.copy_(times[torch.randperm(self.d_model)])

    def kernel(self, size: int | None = None, *, rate: float = 1.0, start: float = 0.0) -> Tensor:
        """Generate the global hyper-kernel K.

        Args:
            size: Number of positions; default: ``l_max``.
            rate: 2.0 means every second sample (see `SlowNetwork`).
            start: First position, in training positions.

        Returns:
            ``(1, d_model, size)``.
        """
        size = self.l_max if size is None else size
        kernel: Tensor = self.slow_network(size, rate=rate, start=start)
        if self.log_time is None:
            return kernel
        time = at_least_float32(self.log_time).exp()[:, None]
        position = start + rate * torch.arange(size, device=kernel.device, dtype=time.dtype)
        # sum_t exp(-2 t / tau) is about (tau + 1) / 2: the kernel starts with unit energy
        fading = rate * torch.exp(-position / time) * torch.rsqrt((time + 1) / 2)
        return (kernel * fading).to(kernel.dtype)

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | Padding | None = None,
        mask: Tensor | None = None,
        rate: float = 1.0,
    ) -> Tensor:
        """Mix the positions.

        Args:
            x: ``(B, L, D)``, or ``(B, D, L)`` with ``transposed``.
            lengths: Integers ``(B,)``: sample i fills positions 0..lengths[i]-1. Padding may hold anything; its output
                is zero.
            mask: Booleans ``(B, L)`` in place of lengths, True at real positions, which come first.
            rate: 2.0 means every second sample: the step relative to training.

        Returns:
            The shape of x.
        """
        x = self._channels_first(x)
        check_positive(rate, name="rate")
        padding = as_padding(as_lengths(lengths, mask, x), x)
        reach = self.short_kernel_size - 1
        margins = (reach, 0) if self.causal else (reach // 2, reach // 2)
        windowed = self._project_windows(pad(mask_padding(x, padding), margins))
        context, value, gate = mask_padding(windowed, padding).chunk(3, dim=1)
        mixed = self._mix(context, value, padding, rate)
        output = mask_padding(self._project(gate * mixed), padding)
        return output if self.transposed else output.mT

    def _mix(self, context: Tensor, value: Tensor, padding: Padding | None, rate: float) -> Tensor:
        """Apply the global and the local operator, and add them."""
        size, product = context.shape[-1], context * value
        kernel = self.kernel(size, rate=rate)
        if self.causal and self.context_bias is None:
            # both operators act on the same product, so that one convolution with the sum of their kernels does
            # Padded before it is cut: compiled code then needs no branch for sequences shorter than the window.
            kernel = kernel + pad(self.local_operator.causal_kernel(rate=rate), (0, size))[..., :size]
            if self.exact:
                return mask_padding(convolve_in_blocks(kernel, [product])[0], padding)
            return convolve_shared(kernel, [product], mode="causal", padding=padding)[0]
        local = self.local_operator(context, value, lengths=padding, rate=rate)
        if self.context_bias is not None:
            context = context + self.context_bias[:, None].to(context.dtype)
            whole = global_hyperzzw(context, kernel, value, mode=self._mode, lengths=padding, exact=self.exact)
        else:
            if padding is not None:
                # each sample wraps the beginning of the kernel around its own length
                kernel = mask_padding(kernel.expand(product.shape[0], -1, -1), padding)
            (whole,) = convolve_shared(kernel, [product], mode="circular", padding=padding)
        return whole + local

    def initial_state(self, batch_size: int) -> MixerState:
        """Return the empty history of ``batch_size`` sequences, for the weights as they are."""
        if not self.causal:
            raise ValueError("causal must be True for a layer that takes a sequence in pieces, got causal=False")
        batch_size = check_count(batch_size, name="batch_size")
        like, taps = self.input_weight.detach(), self.local_operator.kernel_size[0]
        return MixerState(
            like.new_zeros(batch_size, self.d_model, self.short_kernel_size - 1),
            WindowState(like.new_zeros(batch_size, self.d_model, taps - 1)),
            ConvolutionState(batch_size, self.d_model, like=like),
            self.local_operator.causal_kernel().detach(),
            self.kernel(_FIRST_POSITIONS).detach(),
        )

    @torch.no_grad()
    def prefill(self, x: Tensor, state: MixerState | None = None) -> tuple[Tensor, MixerState]:
        """Take the next positions of a sequence, the first ones if there is no state yet.

        Args:
            x: ``(B, n, D)``, or ``(B, D, n)`` with ``transposed``.
            state: What the last call returned, which this call changes; None: the sequence begins.

        Returns:
            The outputs that `forward` gives at these positions of the whole sequence, without gradient, and the state.
        """
        x = self._channels_first(x)
        state = self.initial_state(x.shape[0]) if state is None else state
        stop = state.whole.position + x.shape[-1]
        if stop > state.kernel.shape[-1]:
            known = state.kernel.shape[-1]
            state.kernel = torch.cat([state.kernel, self.kernel(max(known, stop - known), start=known)], dim=-1)
        joined = torch.cat([state.inputs, x.to(state.inputs.dtype)], dim=-1)
        state.inputs = joined[..., x.shape[-1] :].clone()
        context, value, gate = self._project_windows(joined).chunk(3, dim=1)
        kernel = state.kernel[..., state.whole.position : stop]
        local = stream_window(context * value, state.local_kernel, state.local)
        if self.context_bias is None:
            value = context * value
        else:
            kernel = kernel * (context + self.context_bias[:, None].to(context.dtype))
        mixed = stream_convolution(kernel, [value], state.whole)[0] + local
        output = self._project(gate * mixed)
        return output if self.transposed else output.mT, state

    def step(self, x: Tensor, state: MixerState) -> tuple[Tensor, MixerState]:
        """Take one position ``(B, D)``; return its output ``(B, D)`` and the state, which is changed in place."""
        check_position(x, self.d_model)
        axis = 2 if self.transposed else 1
        output, state = self.prefill(x.unsqueeze(axis), state)
        return output.squeeze(axis), state

    def extra_repr(self) -> str:
        """Describe the layer in a printed model."""
        return f"{self.d_model}, l_max={self.l_max}, causal={self.causal}, context_in={self.context_in!r}"

    def _project_windows(self, x: Tensor) -> Tensor:
        """Project ``(B, D, L + k - 1)`` to context, value and gate, each through its short window: ``(B, 3 D, L)``.

        ``y[t] = sum_j w_j ⊙ (A x[t + j]) + b``
        """
        projected = mix_channels(x, self.input_weight.to(x.dtype))
        taps = self.short_weight[:, None].to(projected.dtype)
        return conv1d(projected, taps, self.short_bias.to(projected.dtype), groups=len(taps))

    def _project(self, x: Tensor) -> Tensor:
        return mix_channels(x, self.output_weight.to(x.dtype), self.output_bias.to(x.dtype))

    def _channels_first(self, x: Tensor) -> Tensor:
        return channels_first(x, self.d_model, transposed=self.transposed)
