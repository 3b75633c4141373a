"""The types that sums run in, and the form of a function that every transform of torch can differentiate."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.autograd import forward_ad


def at_least_float32(x: Tensor) -> Tensor:
    """Convert float16 and bfloat16 to float32, for sums over long axes and for transforms; return others unchanged."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Compute in the types of the tensors, whatever `torch.autocast` asks for; the meta device has no autocast."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def is_transformed() -> bool:
    """Say whether `torch.func` (vmap, grad, jvp) or forward-mode differentiation is at work.

    The autograd functions and custom ops of this package are made for one backward pass. Where a transform is at work,
    each function is computed by plain torch operations, which know all transforms.
    """
    return torch._C._are_functorch_transforms_active() or _has_dual_level()


def is_exported_to_onnx() -> bool:
    """Say whether `torch.onnx.export` is at work: ONNX has no custom ops, and needs a fixed number of groups."""
    return torch.compiler.is_compiling() and torch.onnx.is_in_onnx_export()


def refuse_forward_mode(what: str) -> None:
    """Raise an error under forward-mode differentiation: a custom op would return a zero tangent and say nothing."""
    if _has_dual_level():
        raise RuntimeError(
            f"{what} must be differentiated in reverse mode in compiled and exported code, "
            "got forward mode (torch.func.jvp or torch.autograd.forward_ad)"
        )


def has_values(x: Tensor) -> bool:
    """Say whether the values of ``x`` can be read: not in compiled code, under `torch.vmap`, or on the meta device."""
    return not torch.compiler.is_compiling() and not is_mapped(x) and not x.is_meta


def is_mapped(x: Tensor) -> bool:
    """Say whether `torch.vmap` maps over ``x``, so that no values can be read."""
    while torch._C._functorch.is_functorch_wrapped_tensor(x):
        if torch._C._functorch.is_batchedtensor(x):
            return True
        x = torch._C._functorch.get_unwrapped(x)
    return False


def is_recomputed() -> bool:
    """Say whether a backward pass is at work: a forward inside it computes again what a checkpoint did not keep."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def _has_dual_level() -> bool:
    return forward_ad._current_level >= 0
