"""Convolution by real matrix products, for programs that know neither the FFT nor complex numbers (ONNX).

A discrete Fourier transform of ``N = n m`` points is n-point transforms, a rotation and m-point transforms (Cooley and
Tukey 1965). With n and m near the root of N, the matrices hold about 2 N numbers, and a transform takes N (n + m)
products.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from hyperseq._axes import crop, spatial_size

Complex = tuple[Tensor, Tensor]
"""Real and imaginary part."""


def convolve_by_matrices(
    kernel: Tensor,
    signals: Sequence[Tensor],
    min_size: Sequence[int],
    round_up: bool,
    start: Sequence[int],
    size: Sequence[int],
) -> list[Tensor]:
    """Convolve circularly over ``min_size`` points, and return the box of ``size`` at ``start``.

    ``x ⊛ k = F⁻¹(F x ⊙ F k)``. Sizes are known when a program is exported; the batch is free.

    Args:
        kernel: ``(B or 1, C, *k)``, float32 or float64.
        signals: Tensors ``(B, C, *S)`` of the same type.
        min_size: Points on each axis.
        round_up: True if kernel and signal leave room for more points than these. Otherwise a linear convolution is
            wrapped around, so that a prime number of points needs no large matrix.
        start: First position of each result.
        size: Positions of each result.

    Returns:
        One tensor ``(B, C, *size)`` for each signal.
    """
    room = [n if round_up else 2 * n - 1 for n in min_size]
    factors = [_two_factors(n) for n in room]
    spectrum = _transform(kernel, factors)
    results = []
    for signal in signals:
        full = _invert(_multiply(spectrum, _transform(signal, factors)), factors)
        if not round_up:
            full = _wrap(full, min_size)
        results.append(crop(full, start=start, size=size))
    return results


def _two_factors(least: int) -> tuple[int, int]:
    """Return two factors near each other whose product is at least ``least``."""
    n = math.isqrt(least - 1) + 1 if least > 1 else 1
    return n, -(-least // n)


def _wrap(x: Tensor, size: Sequence[int]) -> Tensor:
    for axis, n in enumerate(size, start=2):
        head, tail = x.narrow(axis, 0, n), x.narrow(axis, n, n - 1)
        margins = [0, 0] * (x.dim() - 1 - axis) + [0, 1]
        x = head + pad(tail, margins)
    return x


def _transform(x: Tensor, factors: Sequence[tuple[int, int]]) -> Complex:
    """Transform ``(B, C, *S)``; each axis becomes two, (n, m): point ``k`` is at ``(k % n, k // n)``."""
    margins = [margin for (n, m), s in zip(factors, spatial_size(x), strict=True) for margin in (n * m - s, 0)]
    x = pad(x, margins[::-1])
    x = x.reshape(*x.shape[:2], *(extent for pair in factors for extent in pair))
    value: Complex = (x, torch.zeros_like(x))
    for axis, (n, m) in enumerate(factors):
        first, second = 2 + 2 * axis, 3 + 2 * axis
        value = _multiply_along(value, _roots(n, n, n, x), first)
        value = _multiply(value, _place(_roots(n, m, n * m, x), x, first))
        value = _multiply_along(value, _roots(m, m, m, x), second)
    return value


def _invert(spectrum: Complex, factors: Sequence[tuple[int, int]]) -> Tensor:
    """Return the real part of the inverse of `_transform`."""
    real, imaginary = spectrum
    value: Complex = (real, -imaginary)
    for axis, (n, m) in enumerate(factors):
        first, second = 2 + 2 * axis, 3 + 2 * axis
        value = _multiply_along(value, _roots(m, m, m, real), second)
        value = _multiply(value, _place(_roots(n, m, n * m, real), real, first))
        value = _multiply_along(value, _roots(n, n, n, real), first)
    points = [n * m for n, m in factors]
    return value[0].reshape(*real.shape[:2], *points) / math.prod(points)


def _roots(num_rows: int, num_columns: int, period: int, like: Tensor) -> Complex:
    """Return ``exp(-2 π i j k / period)``, ``(num_rows, num_columns)``; the angles are exact in any type."""
    rows, columns = torch.arange(num_rows)[:, None], torch.arange(num_columns)
    angles = (rows * columns % period).double() * (-2 * math.pi / period)
    return angles.cos().to(like), angles.sin().to(like)


def _multiply(a: Complex, b: Complex) -> Complex:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _multiply_along(x: Complex, matrix: Complex, axis: int) -> Complex:
    """Multiply a symmetric matrix with the vectors along an axis."""
    a, b = (part.movedim(axis, -1) for part in x)
    real, imaginary = matrix
    products = a @ real - b @ imaginary, a @ imaginary + b @ real
    return products[0].movedim(-1, axis), products[1].movedim(-1, axis)


def _place(matrix: Complex, x: Tensor, axis: int) -> Complex:
    """Give a matrix the axes of x: its two lie at ``axis``."""
    shape = [1] * axis + list(matrix[0].shape) + [1] * (x.dim() - axis - 2)
    return matrix[0].reshape(shape), matrix[1].reshape(shape)
