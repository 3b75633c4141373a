"""What a network must offer to be trained: three protocols, and the check of them."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from tasks.errors import UserError


@runtime_checkable
class Backbone(Protocol):
    """A network that turns inputs into features: the only thing that training asks for."""

    out_channels: int
    """Channels C of the features."""

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Turn inputs `(B, in_channels, *S)`, or ids `(B, L)`, into features `(B, C, *S)`."""
        ...


@runtime_checkable
class HasHyperKernels(Protocol):
    """A network whose kernels depend on no input; its `forward` then takes `hyper_kernels`, too.

    Training generates the kernels once a step and adds the slow neural loss. Evaluation keeps the kernels.
    """

    def hyper_kernels(self, size: Sequence[int]) -> list[Tensor]:
        """Generate the kernels for inputs of this spatial size; the list may be empty."""
        ...


@runtime_checkable
class ShortensSequences(Protocol):
    """A network whose features are shorter than its input.

    Where `forward` takes a `rate`, `output_lengths` takes it, too.
    """

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Turn filled positions of the input into filled positions of the features, `(B,)` to `(B,)`."""
        ...


def check_backbone(backbone: nn.Module) -> None:
    """Check that a network can be trained.

    Raises:
        UserError: If anything is missing; one message names all of it.
    """
    missing = []
    channels = getattr(backbone, "out_channels", None)
    if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
        missing.append(f"out_channels must be a positive integer, the channels of the features, got {channels!r}")
    if type(backbone).forward is nn.Module.forward:
        missing.append("forward(x, *, lengths=None) is missing")
    elif not accepts(backbone.forward, "lengths"):
        missing.append("forward must take lengths=None, the filled positions of each sample")
    if isinstance(backbone, HasHyperKernels):
        if not accepts(backbone.forward, "hyper_kernels"):
            missing.append("forward must take hyper_kernels=None, since the network has hyper_kernels()")
        if not inspect.signature(backbone.hyper_kernels).parameters:
            missing.append("hyper_kernels must take the spatial size of the input")
    if missing:
        raise UserError(f"{type(backbone).__name__} is no backbone that can be trained: {'; '.join(missing)}")


def check_takes_rate(backbone: nn.Module, *, name: str = "rate") -> None:
    """Check that a network can take inputs of another rate than that of its training.

    Args:
        backbone: The network.
        name: Name of the option in the message.

    Raises:
        UserError: If its forward takes no rate, or if its stem shortens sequences and takes none.
    """
    if not accepts(backbone.forward, "rate"):
        raise UserError(f"{name} must be left out with {type(backbone).__name__}, whose forward takes no rate")
    stem: Any = getattr(backbone, "stem", None)
    if hasattr(stem, "output_lengths") and not accepts(stem.forward, "rate"):
        raise UserError(f"{name} must be left out with the stem {type(stem).__name__}, which is made for one rate")


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function takes a keyword argument of this name."""
    parameters = inspect.signature(function).parameters
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def input_size(x: Tensor) -> tuple[int, ...]:
    """Return the spatial size of inputs `(B, C, *S)`, or of ids `(B, L)`."""
    return tuple(x.shape[2:] or x.shape[1:])
