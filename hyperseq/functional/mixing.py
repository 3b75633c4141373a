"""1x1 channel mixing."""

from collections.abc import Sequence

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
