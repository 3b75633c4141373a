"""Options that several classes take, typed once: `TypedDict`s for ``**options: Unpack[...]``."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, TypeVar, get_args

import torch
from torch import nn

Mode = Literal["circular", "causal", "matmul", "product"]
BlockMode = Literal["circular", "matmul", "product"]
Statistics = Literal["running", "batch"]
BlockStatistics = Literal["running", "batch", "instance"]
KernelPer = Literal["sample", "batch"]


class SlowNetworkOptions(TypedDict, total=False):
    """Options of a slow network; defaults and ranges are those of `hyperseq.nn.SlowNetwork`."""

    hidden_channels: int
    num_layers: int
    omega_0: float


class BlockOptions(TypedDict, total=False):
    """Options that all blocks of a network share; defaults and ranges are those of `hyperseq.nn.SFNEBlock`."""

    mode: BlockMode | None
    causal: bool
    exact: bool
    local_kernel_sizes: Sequence[int]
    omega_0: float
    slow_hidden_channels: int
    slow_num_layers: int
    num_groups: int
    statistics: BlockStatistics
    kernel_per: KernelPer
    dropout: float


class MixerOptions(TypedDict, total=False):
    """Options that adapters pass on; defaults and ranges are those of `hyperseq.nn.SequenceMixer`."""

    context_in: Literal["values", "kernel"]
    exact: bool
    short_kernel_size: int
    local_kernel_size: int
    hidden_channels: int
    num_layers: int
    omega_0: float
    device: torch.device | str | None
    dtype: torch.dtype | None


Init = TypeVar("Init", bound=Callable[..., None])


def spell_out_options(source: type) -> Callable[[Init], Init]:
    """Write the options behind ``**options: Unpack[...]`` into the signature, with the defaults of ``source``.

    Type checkers read the `TypedDict`, which holds no defaults. `help` and the command line read the signature.

    Args:
        source: The class that the options are passed on to.

    Returns:
        A decorator for ``__init__``, which leaves the function as it is and sets its ``__signature__``.
    """
    defaults = inspect.signature(source).parameters

    def decorate(init: Init) -> Init:
        signature = inspect.signature(init)
        *named, options = signature.parameters.values()
        (typed_dict,) = get_args(options.annotation)
        spelled: list[Any] = [defaults[name] for name in typed_dict.__annotations__]
        init.__signature__ = signature.replace(parameters=[*named, *spelled])  # type: ignore[attr-defined]
        return init

    return decorate


def remember_options(init: Init) -> Init:
    """Let a module keep what its constructor was called with, defaults included, for `options_of`.

    A subclass that has a constructor of its own keeps its own options. A module among the options is kept as the name
    of its class, ``{"given": name}``.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def init_and_remember(self: nn.Module, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        bound = signature.bind(self, *args, **options)
        bound.apply_defaults()
        _, *given = bound.arguments.items()
        self._options = {  # type: ignore[assignment]
            name: {"given": type(value).__name__} if isinstance(value, nn.Module) else value for name, value in given
        }

    return init_and_remember  # type: ignore[return-value]


def options_of(module: nn.Module) -> dict[str, Any]:
    """Return what the constructor of a module was called with (see `remember_options`)."""
    return dict(module._options)  # type: ignore[arg-type]
