"""The product of two channel mixings."""

from typing import Any

import torch
from torch import Tensor

from hyperseq._checks import check_activations
from hyperseq.functional._numerics import is_transformed
from hyperseq.functional.mixing import mix_channels


def multiply_mixings(x: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Multiply two mixings of one tensor, position by position.

    ``y = (W_0 x + b_0) ⊙ (W_1 x + b_1)``

    Args:
        x: ``(B, C_in, *S)``.
        weights: ``(2, C_out, C_in)``.
        biases: ``(2, C_out)``.

    Returns:
        ``(B, C_out, *S)``; in float32 where the products of float16 would overflow.
    """
    check_activations(x, name="x", channels=weights.shape[2])
    operands = [operand.to(_product_type(operand)) for operand in (x.flatten(2), weights, biases)]
    if is_transformed():
        mixed = _without_overflow(_mix_both(*operands))
        return (mixed[:, 0] * mixed[:, 1]).reshape(x.shape[0], -1, *x.shape[2:])
    product: Tensor = _MultiplyMixings.apply(*operands)  # type: ignore[no-untyped-call]
    return product.reshape(x.shape[0], -1, *x.shape[2:])


class _MultiplyMixings(torch.autograd.Function):
    """Both mixings as one matrix product, and both gradients too: x is read once, and its gradient written once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
        mixed = _mix_both(x, weights, biases)
        ctx.save_for_backward(x, weights, biases, mixed)
        mixed = _without_overflow(mixed)
        return mixed[:, 0] * mixed[:, 1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weights, biases, mixed = ctx.saved_tensors
        if torch.is_grad_enabled():
            # Double backward: the saved factors carry no graph, so compute them again from the inputs.
            mixed = _mix_both(x, weights, biases)
        # Product rule: d(ab)/da = b. flip(0) swaps the factors, so one product gives both gradients.
        grads = (grad[:, None] * mixed).to(x.dtype).reshape(x.shape[0], -1, x.shape[2])
        swapped = weights.flip(0).flatten(0, 1)
        grad_x = mix_channels(grads, swapped.mT)
        grad_weights = torch.bmm(grads, x.mT).sum(0).reshape(weights.shape).flip(0)
        grad_biases = grads.sum((0, 2)).reshape(biases.shape).flip(0)
        return grad_x, grad_weights, grad_biases


def _without_overflow(mixed: Tensor) -> Tensor:
    """Return the factors in a type that holds their product: two numbers above 256 are too much for float16."""
    return mixed.float() if mixed.dtype == torch.float16 else mixed


def _mix_both(x: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    return mix_channels(x, weights.flatten(0, 1), biases.flatten()).reshape(x.shape[0], 2, -1, x.shape[2])


def _product_type(x: Tensor) -> torch.dtype:
    """Return the type in which a matrix product takes x: that of autocast, which float64 does not follow."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype
