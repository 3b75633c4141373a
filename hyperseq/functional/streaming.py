"""Causal operators that take a sequence in pieces: state in, state out, the same results as in one piece.

The state is the history, as a key-value cache is. Each function takes the next n positions, any n of at least 1, and
returns their outputs. A state is changed in place and belongs to one sequence of calls. No gradient is recorded.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from hyperseq._checks import check_activations, check_count, check_positive, check_rank_matches
from hyperseq.functional._numerics import at_least_float32
from hyperseq.functional._sliding_window import slide


@dataclass
class WindowState:
    """The positions that a sliding window over the past still needs.

    Attributes:
        last: The last k - 1 positions, ``(B, C, k - 1)``; zeros before the start.
    """

    last: Tensor


@torch.no_grad()
def stream_window(x: Tensor, kernel: Tensor, state: WindowState) -> Tensor:
    """Slide a kernel over the past of the next positions: ``y[t] = sum_j K[j] x[t - j]``.

    Args:
        x: The next positions, ``(B, C, n)``.
        kernel: K, ``(B or 1, C, k)``; tap j reads j positions back.
        state: Changed in place. It starts as zeros ``(B, C, k - 1)``.

    Returns:
        ``(B, C, n)`` in the type of x.

    Raises:
        ValueError: If a shape does not fit.

    Example:
        >>> state = WindowState(torch.zeros(1, 1, 1))
        >>> stream_window(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[1.0, 10.0]]]), state)
        tensor([[[ 1., 12.]]])
        >>> stream_window(torch.tensor([[[3.0]]]), torch.tensor([[[1.0, 10.0]]]), state)
        tensor([[[23.]]])
    """
    check_activations(x, name="x", num_spatial_dims=1)
    check_rank_matches(kernel, x, name="kernel", like_name="x")
    num_taps = kernel.shape[-1]
    expected = (*x.shape[:2], num_taps - 1)
    if tuple(state.last.shape) != expected:
        raise ValueError(f"state must hold the last positions {expected}, got {tuple(state.last.shape)}")
    joined = torch.cat([state.last.to(x.dtype), x], dim=-1)
    state.last = joined[..., x.shape[-1] :].clone()
    return slide(joined, kernel.flip(-1), before=[0], after=[0])


@dataclass
class MeanState:
    """The sum of the positions so far, for `stream_mean`.

    Attributes:
        count: Number of positions.
        total: Their sum, ``(B, C, 1)``; 0 before the start.
    """

    count: int = 0
    total: Tensor | float = 0.0


@torch.no_grad()
def stream_mean(x: Tensor, state: MeanState) -> Tensor:
    """Average the positions up to each of the next ones: ``y[t] = (x[0] + ... + x[t]) / (t + 1)``.

    Args:
        x: The next positions, ``(B, C, n)``.
        state: Changed in place.

    Returns:
        ``(B, C, n)`` in the type of x.

    Raises:
        ValueError: If x is no such tensor.

    Example:
        >>> state = MeanState()
        >>> stream_mean(torch.tensor([[[1.0, 3.0]]]), state)
        tensor([[[1., 2.]]])
        >>> stream_mean(torch.tensor([[[8.0]]]), state)
        tensor([[[4.]]])
    """
    check_activations(x, name="x", num_spatial_dims=1)
    total = at_least_float32(x).cumsum(-1) + state.total
    mean = total / _counts(state, total)
    state.total = total[..., -1:].clone()
    return mean.to(x.dtype)


@dataclass
class MomentState:
    """Mean and variance of the positions so far, for `stream_standardize`.

    Attributes:
        count: Number of positions.
        first: The first position, ``(B, C, 1)``, which the sums leave out so that a large mean costs no digits.
        total: Sum of the differences from it.
        squares: Sum of the squared deviations from the mean.
    """

    count: int = 0
    first: Tensor | None = None
    total: Tensor | float = 0.0
    squares: Tensor | float = 0.0


@torch.no_grad()
def stream_standardize(x: Tensor, state: MomentState, *, eps: float = 1e-5) -> Tensor:
    """Standardize each of the next positions by mean and variance of the positions up to it.

    ``y[t] = (x[t] - mean) / sqrt(var + eps)``, as `hyperseq.functional.instance_standardize` with ``causal``.

    Args:
        x: The next positions, ``(B, C, n)``.
        state: Changed in place.
        eps: Added to the variance; 1e-6 to 1e-3.

    Returns:
        ``(B, C, n)`` in the type of x.

    Raises:
        ValueError: If x is no such tensor or eps not above 0.

    Example:
        >>> state = MomentState()
        >>> y = stream_standardize(torch.tensor([[[7.0]]]), state)
        >>> stream_standardize(torch.tensor([[[9.0]]]), state)
        tensor([[[1.0000]]])
    """
    check_activations(x, name="x", num_spatial_dims=1)
    check_positive(eps, name="eps")
    dtype, x = x.dtype, at_least_float32(x)
    first = x[..., :1].clone() if state.first is None else state.first
    shifted = x - first
    before = state.total / max(state.count, 1) + torch.zeros_like(first)
    total, count = shifted.cumsum(-1) + state.total, _counts(state, x)
    mean = total / count
    # Welford's increments, as in the parallel form
    earlier_mean = torch.cat([before, mean[..., :-1]], dim=-1)
    squares = ((shifted - earlier_mean) * (shifted - mean)).cumsum(-1) + state.squares
    state.first, state.total, state.squares = first, total[..., -1:].clone(), squares[..., -1:].clone()
    return ((shifted - mean) * torch.rsqrt(squares / count + eps)).to(dtype)


def _counts(state: MeanState | MomentState, x: Tensor) -> Tensor:
    """Count the next positions, and add them to the state: t + 1 for each position t."""
    start, state.count = state.count, state.count + x.shape[-1]
    return torch.arange(start + 1, state.count + 1, device=x.device, dtype=x.dtype)


class ConvolutionState:
    """What a causal convolution keeps of a kernel and of values that both become known position by position.

    The sum ``y[t] = sum_{m <= t} W[m] V[t - m]`` is cut into square tiles of sides 1, 2, 4, ... (relaxed
    multiplication, van der Hoeven 2002). A tile is added by one FFT as soon as its last position is known. A position
    costs O(log^2 t) on average, and memory is O(t).

    Args:
        batch_size: Number of sequences B.
        channels: Channels C.
        num_values: Number of values that share the kernel.
        like: A tensor whose device and type the buffers have, at least float32.

    Example:
        >>> state = ConvolutionState(1, 1, like=torch.zeros(()))
        >>> w, v = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[1.0, 1.0, 1.0]]])
        >>> stream_convolution(w[..., :2], [v[..., :2]], state)[0].round()
        tensor([[[1., 3.]]])
        >>> stream_convolution(w[..., 2:], [v[..., 2:]], state)[0].round()
        tensor([[[6.]]])
    """

    def __init__(self, batch_size: int, channels: int, *, num_values: int = 1, like: Tensor) -> None:
        batch_size = check_count(batch_size, name="batch_size")
        self.num_values = check_count(num_values, name="num_values")
        wide = at_least_float32(like)
        # the first row is the kernel, the others are the values
        self.known = wide.new_zeros(1 + self.num_values, batch_size, channels, 64)
        self.sums = wide.new_zeros(self.num_values, batch_size, channels, 128)
        self.position = 0

    def append(self, kernel: Tensor, values: list[Tensor]) -> None:
        """Write the next positions, and double the buffers where they are full."""
        start, self.position = self.position, self.position + values[0].shape[-1]
        capacity = self.known.shape[-1]
        if self.position > capacity:
            capacity = max(2 * capacity, self.position)
            self.known = pad(self.known, (0, capacity - self.known.shape[-1]))
            self.sums = pad(self.sums, (0, 2 * capacity - self.sums.shape[-1]))
        for row, x in zip(self.known, [kernel, *values], strict=True):
            row[..., start : self.position] = x

    def add_tiles(self, side: int, first: int, count: int) -> None:
        """Add tiles of one side: blocks first, first + 1, ... of that size, against the block that begins at side - 1.

        Block s covers positions ``s side - 1`` to ``(s + 1) side - 2``. Each pair of block s and block 1 is counted
        in both orders, and block 1 with itself once.
        """
        start = first * side - 1
        blocks = self.known[..., start : start + count * side].reshape(*self.known.shape[:-1], count, side)
        heads = self.known[..., None, side - 1 : 2 * side - 1]
        spectra, head_spectra = (torch.fft.rfft(x, n=2 * side) for x in (blocks, heads))
        product = head_spectra[0] * spectra[1:]
        both = 1 if first == 1 else 0
        product[..., both:, :] += spectra[0, ..., both:, :] * head_spectra[1:]
        tiles = torch.fft.irfft(product, n=2 * side)
        # neighboring tiles overlap by half
        start += side - 1
        self.sums[..., start : start + count * side] += tiles[..., :side].flatten(-2)
        start += side
        self.sums[..., start : start + count * side] += tiles[..., side:].flatten(-2)


@torch.no_grad()
def stream_convolution(kernel: Tensor, values: list[Tensor], state: ConvolutionState) -> list[Tensor]:
    """Convolve causally, ``y[t] = sum_{m <= t} W[m] V[t - m]``, and return the outputs of the next positions.

    Args:
        kernel: The next positions of W, ``(B or 1, C, n)``.
        values: The next positions of each V, ``(B, C, n)``.
        state: Changed in place.

    Returns:
        One ``(B, C, n)`` for each of the values, in its type.

    Raises:
        ValueError: If a shape or the number of values does not fit.

    Example:
        See `ConvolutionState`.
    """
    if len(values) != state.num_values:
        raise ValueError(f"values must hold {state.num_values} tensors, as the state does, got {len(values)}")
    expected = tuple(state.known.shape[1:3])
    for value in values:
        check_activations(value, name="values", num_spatial_dims=1)
        if tuple(value.shape[:2]) != expected:
            raise ValueError(f"values must have the batch and channels {expected} of the state, got {value.shape}")
    check_rank_matches(kernel, values[0], name="kernel", like_name="values")
    start = state.position
    state.append(kernel, values)
    side = 1
    while 2 * side <= state.position + 1:
        # block s is known at position (s + 1) side - 2
        first = max(1, -(-(start + 2) // side) - 1)
        last = (state.position + 1) // side - 1
        if last >= first:
            state.add_tiles(side, first, last - first + 1)
        side *= 2
    outputs = state.sums[..., start : state.position]
    return [output.to(value.dtype, copy=True) for output, value in zip(outputs, values, strict=True)]
