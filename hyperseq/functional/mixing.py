"""1x1 channel mixing, and the product of two mixings."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hyperseq._checks import check_activations, check_floating, check_shape
from hyperseq.functional._numerics import is_transformed


def mix_channels(x: Tensor | Sequence[Tensor], weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mix the channels of every position: a 1x1 convolution, computed as matrix products.

    ``y[b, o, p] = sum_i weight[o, i] x[b, i, p] + bias[o]``

    Args:
        x: ``(B, C_in, *S)``, or several tensors whose channels make C_in together: they are mixed as if they were
            concatenated, without the copy.
        weight: ``(C_out, C_in)``.
        bias: ``(C_out,)`` or None.

    Returns:
        ``(B, C_out, *S)``.

    Raises:
        ValueError: If the channels do not make C_in, or batch or size differ between several tensors.

    Example:
        >>> x, y = torch.randn(2, 3, 8, 8), torch.randn(2, 1, 8, 8)
        >>> mix_channels(x, torch.randn(5, 3)).shape, mix_channels([x, y], torch.randn(5, 4)).shape
        (torch.Size([2, 5, 8, 8]), torch.Size([2, 5, 8, 8]))
    """
    parts = [x] if isinstance(x, Tensor) else list(x)
    _check_parts(parts, weight, bias)
    batch, size = parts[0].shape[0], parts[0].shape[2:]
    if len(parts) > 1 and (torch.compiler.is_compiling() or is_transformed()):
        # Compiled code writes the parts to where one product reads them. For a sum in place it would copy.
        parts = [torch.cat(parts, dim=1)]
    # One column of weights for each part. Batched products are summed in place: torch.matmul would copy x to fold
    # the batch into the columns, and a concatenation would hold a second copy of all parts until backward.
    columns = torch.split(weight, [part.shape[1] for part in parts], dim=1) if len(parts) > 1 else (weight,)
    mixed = torch.bmm(columns[0].expand(batch, -1, -1), parts[0].reshape(batch, parts[0].shape[1], -1))
    for column, part in zip(columns[1:], parts[1:], strict=True):
        mixed.baddbmm_(column.to(mixed.dtype).expand(batch, -1, -1), part.flatten(2).to(mixed.dtype))
    if bias is not None:
        # vmap cannot add in place if it maps over the bias alone
        mixed = mixed + bias[:, None] if is_transformed() else mixed.add_(bias[:, None])
    return mixed.reshape(batch, -1, *size)


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
    if not x.is_meta and torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype


def _check_parts(parts: list[Tensor], weight: Tensor, bias: Tensor | None) -> None:
    check_floating(weight, name="weight")
    if weight.dim() != 2:
        raise ValueError(f"weight must be (C_out, C_in), got shape {tuple(weight.shape)}")
    if bias is not None:
        check_shape(bias, weight.shape[:1], name="bias", meaning="one entry per output channel")
    for part in parts:
        check_activations(part, name="x")
    if not parts or sum(part.shape[1] for part in parts) != weight.shape[1]:
        raise ValueError(f"x must have {weight.shape[1]} channels, got shape {_shapes(parts)}")
    first = parts[0]
    if not all(part.shape[0] == first.shape[0] and part.shape[2:] == first.shape[2:] for part in parts[1:]):
        raise ValueError(f"x must hold tensors of one batch and one size, got shape {_shapes(parts)}")


def _shapes(parts: list[Tensor]) -> str:
    return ", ".join(str(tuple(part.shape)) for part in parts) or "no tensor"
