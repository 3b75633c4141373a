"""The shapes that the laws are tested on, seeded tensors to fill them, and the comparisons that all tests share."""

from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor

# (batch, channels, *size): odd, prime, even, power of two, non-square, size one, batch one, channel one.
# For 5 and 8 the shortest transform that holds a linear convolution, 2 S - 1 = 9 and 15, is a fast FFT size itself,
# for 7 and 12 it is not: both paths of the fold are taken.
SHAPES_1D = [(2, 3, 7), (1, 2, 12), (2, 1, 5), (3, 2, 1), (1, 1, 2), (2, 2, 8)]
SHAPES_2D = [(2, 2, 3, 5), (1, 3, 4, 4), (2, 1, 1, 7), (1, 1, 1, 1), (1, 2, 5, 2)]
SHAPES_3D = [(2, 2, 2, 3, 2)]
SHAPES = SHAPES_1D + SHAPES_2D + SHAPES_3D

# padded batches of one spatial axis: the shape, and lengths from 1 to the whole size
PADDED = [
    ((4, 2, 8), (5, 1, 8, 3)),
    ((3, 3, 7), (6, 2, 4)),
    ((2, 1, 5), (5, 1)),
    ((1, 2, 13), (11,)),
    ((2, 2, 2), (2, 1)),
]

HALF_TYPES = [torch.float16, torch.bfloat16]
JUNK = [float("nan"), float("inf")]


def shape_id(value: object) -> str:
    """Spell a shape as 2x3x7; leave other parameters to pytest."""
    if isinstance(value, tuple) and all(isinstance(n, int) for n in value):
        return "x".join(map(str, value))
    return str(value)


def over_shapes(shapes: Sequence[tuple[int, ...]]) -> pytest.MarkDecorator:
    """Parametrise a test by ``shape`` with readable ids."""
    return pytest.mark.parametrize("shape", shapes, ids=shape_id)


over_padded = pytest.mark.parametrize(
    ("shape", "lengths"),
    PADDED,
    ids=["x".join(map(str, s)) + "-lengths-" + "-".join(map(str, n)) for s, n in PADDED],
)
over_junk = pytest.mark.parametrize("junk", JUNK)
over_half_types = pytest.mark.parametrize("dtype", HALF_TYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draw a leaf tensor of normal numbers that requires its gradient."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def padding(shape: Sequence[int], lengths: Sequence[int]) -> Tensor:
    """Tell, as booleans ``(B, 1, S)``, which positions are padding."""
    return torch.stack([torch.arange(shape[-1]) >= length for length in lengths])[:, None]


def spoiled(x: Tensor, lengths: Sequence[int], junk: float) -> Tensor:
    """Copy ``(B, C, S)`` into a new leaf with ``junk`` in the padding."""
    return torch.where(padding(x.shape, lengths), torch.tensor(junk, dtype=x.dtype), x.detach()).requires_grad_()


def assert_close(found: Tensor, truth: Tensor, *, tolerance: float = 1e-9, scale: float = 1.0) -> None:
    """Compare values, shapes and types; ``tolerance`` is relative to the truth's largest entry or ``scale``."""
    scale = max(scale, float(truth.detach().abs().max())) if truth.numel() else scale
    torch.testing.assert_close(found, truth, rtol=0.0, atol=tolerance * scale)


def assert_same_with_gradients(
    found: Tensor, truth: Tensor, leaves: Iterable[Tensor], *, tolerance: float = 1e-9
) -> None:
    """Compare two results and the gradients that the same cotangent sends to all leaves."""
    leaves = list(leaves)
    assert_close(found, truth, tolerance=tolerance)
    cotangent = normal(*truth.shape, seed=99, dtype=truth.dtype).detach()
    found_gradients = torch.autograd.grad(found, leaves, cotangent, retain_graph=True)
    true_gradients = torch.autograd.grad(truth, leaves, cotangent, retain_graph=True)
    for found_gradient, true_gradient in zip(found_gradients, true_gradients, strict=True):
        assert_close(found_gradient, true_gradient, tolerance=tolerance)


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Largest error relative to the largest entry of the truth, in float64."""
    truth = truth.detach().double()
    return float((found.detach().double() - truth).abs().max() / truth.abs().max())
