"""The fast weights of a network: which positions of an input count."""

from typing import Any

import torch
from torch import Tensor, nn

from hyperseq.nn import SFNEBlock


@torch.no_grad()
def record_fast_weights(backbone: nn.Module, x: Tensor) -> list[Tensor]:
    """Return `W = K ⊙ X` of each SFNE block for inputs without padding; X is the input of the block.

    Args:
        backbone: Any network; one without SFNE blocks has no fast weights.
        x: `(B, C, *S)`, or ids `(B, L)`.

    Returns:
        One `(B, C_i, *F)` for each call of a block, in the order of the calls; F is the size of the features.

    Example:
        >>> from hyperseq import Terminator
        >>> weights = record_fast_weights(Terminator(1, 1, size=10, channels=[2, 4, 4]), torch.randn(3, 1, 10))
        >>> [tuple(each.shape) for each in weights]
        [(3, 2, 10), (3, 4, 10)]
    """
    recorded: list[Tensor] = []

    def record(block: SFNEBlock, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        context = arguments[0]
        kernel = options.get("hyper_kernel")
        if kernel is None:
            kernel = block.hyper_kernel(tuple(context.shape[2:]), options.get("rate", 1.0))
        recorded.append(kernel * context)

    blocks = [module for module in backbone.modules() if isinstance(module, SFNEBlock)]
    hooks = [block.register_forward_pre_hook(record, with_kwargs=True) for block in blocks]
    training = backbone.training
    try:
        # Compiled code calls no hooks.
        with torch.compiler.set_stance("force_eager"):
            backbone.eval()(x)
    finally:
        backbone.train(training)
        for hook in hooks:
            hook.remove()
    return recorded
