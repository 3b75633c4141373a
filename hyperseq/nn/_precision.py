"""Parameters and buffers that keep their digits when a module is cast."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

HALF_TYPES = (torch.float16, torch.bfloat16)


def wide_default() -> torch.dtype:
    """Return the default type, float32 at least."""
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


class AtLeastFloat32(nn.Module):
    """A module whose own parameters and buffers are float32 or float64, whatever type the module is cast to.

    ``half()``, ``bfloat16()`` and ``to(dtype)`` cast submodules as usual, and these tensors to float32. A base class
    for modules whose tensors need more digits than a half type has: frequencies, sums over a data set.

    Example:
        >>> class Sum(AtLeastFloat32):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.register_buffer("total", torch.zeros(3))
        >>> Sum().half().total.dtype
        torch.float32
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        def apply_and_keep_digits(x: Tensor) -> Tensor:
            applied = fn(x)
            # from x, because the digits of a half type are lost in what fn returned
            return x.to(applied.device, torch.float32) if applied.dtype in HALF_TYPES else applied

        if recurse:
            for child in self.children():
                child._apply(fn)  # type: ignore[no-untyped-call]
        return super()._apply(apply_and_keep_digits, recurse=False)  # type: ignore[no-untyped-call]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in (*self._parameters, *self._buffers):
            value = state_dict.get(prefix + name)
            if value is not None and value.dtype in HALF_TYPES:
                raise ValueError(
                    f"{prefix}{name} must be float32 or float64 in a loaded state, got {value.dtype}: its digits are "
                    "lost; cast the module, and save its own state"
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_digits(self) -> None:
        """Refuse own parameters and buffers that something else than a cast of the module turned into a half type."""
        for name, value in [*self._parameters.items(), *self._buffers.items()]:
            if value is not None and value.dtype in HALF_TYPES:
                raise ValueError(
                    f"{name} of {type(self).__name__} must be float32 or float64, got {value.dtype}: shard this module "
                    "by itself without a mixed precision policy, or exclude the tensor (ignored_params of FSDP)"
                )
