"""The floor: the bare matrix products and the bare transforms that a computation cannot do without."""

import itertools
from collections.abc import Callable

import torch

SLOW_WIDTH, SLOW_LAYERS = 32, 3
"""The defaults of the slow networks of `hyperseq.nn.SFNEBlock`."""


def transforms(batch: int, channels: int, length: int, *, num_values: int, backward: bool) -> Callable[[], None]:
    """Return a function that runs the real transforms of a global operator with ``num_values`` values.

    Forward: fast weights and values there, products back. Backward: gradients there, one gradient back for the fast
    weights and one for each of the values.
    """
    signals = [torch.randn(batch, channels, length) for _ in range(1 + num_values)]
    spectra = [torch.fft.rfft(signal) for signal in signals]
    there, back = 1 + num_values, num_values
    if backward:
        there, back = there + num_values, back + 1 + num_values

    def run() -> None:
        for signal in itertools.islice(itertools.cycle(signals), there):
            torch.fft.rfft(signal)
        for spectrum in itertools.islice(itertools.cycle(spectra), back):
            torch.fft.irfft(spectrum, n=length)

    return run


def matrix_products(shapes: list[tuple[int, int, int, int]], *, backward: bool) -> Callable[[], None]:
    """Return a function that multiplies (rows, inner) by (batch, inner, length) for each shape, into memory it owns.

    Backward adds the two products that give the gradients of both factors.
    """
    memory = {
        (batch, rows, inner, length): [
            torch.randn(1, rows, inner),
            torch.randn(batch, inner, length),
            torch.randn(batch, rows, length),
        ]
        for batch, rows, inner, length in set(shapes)
    }

    def run() -> None:
        for shape in shapes:
            left, right, result = memory[shape]
            weights = left.expand(right.shape[0], -1, -1)
            torch.bmm(weights, right, out=result)
            if backward:
                torch.bmm(weights.mT, result, out=right)
                torch.bmm(result, right.mT)
                # values must not grow from call to call
                right.fill_(1e-2)

    return run


def block_shapes(batch: int, length: int, channels: int, *, num_local: int = 3) -> list[tuple[int, int, int, int]]:
    """List the matrix products of an SFNE block from C to C channels: (batch, rows, inner, length).

    A gated unit has three: two mixings in a row are one product with their small matrices multiplied.
    """
    square = [(batch, channels, channels, length)] * (3 + 3 + 1 + num_local)
    bottleneck = [(batch, channels, (6 + num_local) * channels, length)]
    slow_network = [(1, SLOW_WIDTH, SLOW_WIDTH, length)] * SLOW_LAYERS
    return square + bottleneck + slow_network + [(1, channels, SLOW_WIDTH, length)] + slow_network
