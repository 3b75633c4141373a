"""Every public layer in small, for the battery of laws that all of them hold: a new layer costs one entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from hyperseq import Terminator
from hyperseq.backbones import ResidualStack
from hyperseq.functional import Padding
from hyperseq.nn import (
    BatchStandardization,
    ChannelMixing,
    GlobalHyperZZW,
    GroupStandardization,
    HyperChannelInteraction,
    HyperInteraction,
    InstanceStandardization,
    LocalHyperZZW,
    RecursiveGatedUnit,
    SequenceBlock,
    SequenceMixer,
    SFNEBlock,
    SlowNetwork,
)
from tests import cases


@dataclass(frozen=True)
class Layer:
    """How to build a layer and what to feed it.

    Attributes:
        build: Makes the layer.
        size: Spatial size of its inputs.
        num_inputs: Number of tensors it takes; 0 for the slow network.
        takes_lengths: Whether it knows padding.
        uses_batch: When a sample's answer depends on its neighbors: never, in training, or always.
        causal: Whether no output reads its future.
    """

    build: Callable[[], nn.Module]
    size: tuple[int, ...] = (8,)
    num_inputs: int = 1
    takes_lengths: bool = True
    uses_batch: str = "never"
    causal: bool = False

    def make(self, *, dtype: torch.dtype = torch.float64, seed: int = 0, training: bool = False) -> nn.Module:
        """Build the layer from a seed; running statistics differ from their first values, as after training."""
        torch.manual_seed(seed)
        module = self.build()
        for name, buffer in module.named_buffers():
            if "running" in name:
                buffer.copy_(torch.rand(buffer.shape) + 0.5)
        return module.to(dtype).train(training)

    def inputs(
        self, batch: int = 3, *, dtype: torch.dtype = torch.float64, size: tuple[int, ...] | None = None
    ) -> list[Tensor]:
        """Leaves ``(batch, 4, *size)``."""
        size = self.size if size is None else size
        return [cases.normal(batch, 4, *size, seed=seed, dtype=dtype) for seed in range(self.num_inputs)]


class Attention(nn.Module):
    """A layer ``(B, L, D)`` of one's own, which takes lengths as a tensor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        query, key, value = self.projection(x).chunk(3, dim=-1)
        scores = query @ key.mT
        if lengths is not None:
            hidden = torch.arange(x.shape[1], device=x.device) >= lengths[:, None, None]
            scores = scores.masked_fill(hidden, float("-inf"))
        return scores.softmax(-1) @ value


class Operator(nn.Module):
    """A layer ``(B, L, D)`` around an operator of the library, which takes lengths as they were checked."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.operator = GlobalHyperZZW(1, width, size=8, **SLOW)

    def forward(self, x: Tensor, *, lengths: Tensor | Padding | None = None) -> Tensor:
        return self.operator(x.mT, x.mT, lengths=lengths).mT


SLOW = {"hidden_channels": 8, "num_layers": 2, "omega_0": 3.0}
BLOCK = {"slow_hidden_channels": 8, "slow_num_layers": 2, "omega_0": 3.0}
IMAGE = (4, 5)

LAYERS = {
    "SlowNetwork-1d": Layer(lambda: SlowNetwork(1, 4, size=8, **SLOW), num_inputs=0),
    "SlowNetwork-2d": Layer(lambda: SlowNetwork(2, 4, size=IMAGE, **SLOW), num_inputs=0, size=IMAGE),
    "ChannelMixing-1d": Layer(lambda: ChannelMixing(4, 6), takes_lengths=False),
    "ChannelMixing-2d": Layer(lambda: ChannelMixing(4, 6, bias=False), takes_lengths=False, size=IMAGE),
    "GlobalHyperZZW-1d": Layer(lambda: GlobalHyperZZW(1, 4, size=8, **SLOW), num_inputs=2),
    "GlobalHyperZZW-1d-causal": Layer(
        lambda: GlobalHyperZZW(1, 4, size=8, mode="causal", **SLOW), num_inputs=2, causal=True
    ),
    "GlobalHyperZZW-1d-causal-exact": Layer(
        lambda: GlobalHyperZZW(1, 4, size=8, mode="causal", exact=True, **SLOW), num_inputs=2, causal=True
    ),
    "GlobalHyperZZW-1d-product": Layer(lambda: GlobalHyperZZW(1, 4, size=8, mode="product", **SLOW), num_inputs=2),
    "GlobalHyperZZW-2d": Layer(lambda: GlobalHyperZZW(2, 4, size=IMAGE, **SLOW), num_inputs=2, size=IMAGE),
    "GlobalHyperZZW-2d-matmul": Layer(
        lambda: GlobalHyperZZW(2, 4, size=4, mode="matmul", **SLOW), num_inputs=2, size=(4, 4)
    ),
    "LocalHyperZZW-1d-causal": Layer(
        lambda: LocalHyperZZW(1, 4, kernel_size=4, causal=True, **SLOW), num_inputs=2, causal=True
    ),
    "LocalHyperZZW-1d": Layer(lambda: LocalHyperZZW(1, 4, kernel_size=5, **SLOW), num_inputs=2),
    "LocalHyperZZW-2d": Layer(lambda: LocalHyperZZW(2, 4, kernel_size=(3, 5), **SLOW), num_inputs=2, size=IMAGE),
    "LocalHyperZZW-1d-kernel-per-batch": Layer(
        lambda: LocalHyperZZW(1, 4, kernel_size=5, kernel_per="batch", **SLOW), num_inputs=2, uses_batch="always"
    ),
    "RecursiveGatedUnit-1d": Layer(lambda: RecursiveGatedUnit(4)),
    "RecursiveGatedUnit-1d-causal": Layer(lambda: RecursiveGatedUnit(4, causal=True), causal=True),
    "RecursiveGatedUnit-2d": Layer(lambda: RecursiveGatedUnit(4), size=IMAGE),
    "HyperChannelInteraction-1d": Layer(lambda: HyperChannelInteraction(4, **SLOW)),
    "HyperChannelInteraction-1d-causal": Layer(lambda: HyperChannelInteraction(4, causal=True, **SLOW), causal=True),
    "HyperChannelInteraction-2d": Layer(lambda: HyperChannelInteraction(4, **SLOW), size=IMAGE),
    "HyperInteraction-1d": Layer(lambda: HyperInteraction(1, 4, size=8, **SLOW), num_inputs=2),
    "HyperInteraction-1d-causal": Layer(
        lambda: HyperInteraction(1, 4, size=8, causal=True, **SLOW), num_inputs=2, causal=True
    ),
    "HyperInteraction-2d": Layer(lambda: HyperInteraction(2, 4, size=IMAGE, **SLOW), num_inputs=2, size=IMAGE),
    "InstanceStandardization-1d": Layer(lambda: InstanceStandardization()),
    "InstanceStandardization-1d-causal": Layer(lambda: InstanceStandardization(causal=True), causal=True),
    "InstanceStandardization-2d": Layer(lambda: InstanceStandardization(), size=IMAGE),
    "BatchStandardization-1d": Layer(lambda: BatchStandardization(4), uses_batch="training"),
    "BatchStandardization-2d": Layer(lambda: BatchStandardization(4), uses_batch="training", size=IMAGE),
    "BatchStandardization-1d-by-batch": Layer(lambda: BatchStandardization(4, statistics="batch"), uses_batch="always"),
    "GroupStandardization-1d": Layer(lambda: GroupStandardization(4), uses_batch="training"),
    "GroupStandardization-2d": Layer(lambda: GroupStandardization(4, num_groups=4), uses_batch="training", size=IMAGE),
    "SFNEBlock-1d": Layer(lambda: SFNEBlock(1, 4, 6, size=8, **BLOCK), uses_batch="training"),
    "SFNEBlock-1d-causal": Layer(lambda: SFNEBlock(1, 4, 6, size=8, causal=True, **BLOCK), causal=True),
    "SFNEBlock-1d-product": Layer(lambda: SFNEBlock(1, 4, 6, size=8, mode="product", **BLOCK), uses_batch="training"),
    "SFNEBlock-2d": Layer(lambda: SFNEBlock(2, 4, 6, size=IMAGE, **BLOCK), uses_batch="training", size=IMAGE),
    "SFNEBlock-2d-matmul": Layer(
        lambda: SFNEBlock(2, 4, 6, size=6, mode="matmul", local_kernel_sizes=(3, 9, 5, 7), num_groups=3, **BLOCK),
        uses_batch="training",
        size=(6, 6),
    ),
    "SFNEBlock-3d": Layer(
        lambda: SFNEBlock(3, 4, 6, size=(2, 3, 2), local_kernel_sizes=(3, 3), **BLOCK),
        uses_batch="training",
        size=(2, 3, 2),
    ),
    "Terminator-1d": Layer(lambda: Terminator(1, 4, size=8, channels=[4, 6, 8], **BLOCK), uses_batch="training"),
    "Terminator-1d-causal": Layer(
        lambda: Terminator(1, 4, size=8, channels=[4, 6, 8], causal=True, **BLOCK), causal=True
    ),
    "Terminator-1d-causal-exact": Layer(
        lambda: Terminator(
            1, 4, size=8, channels=[4, 6, 8], causal=True, exact=True, concatenate_earlier=True, **BLOCK
        ),
        causal=True,
    ),
    "Terminator-1d-many-options": Layer(
        lambda: Terminator(
            1,
            4,
            size=12,
            channels=[2, 6, 12],
            mode="product",
            local_kernel_sizes=(3, 5, 3, 7, 3),
            num_groups=6,
            concatenate_earlier=True,
            dropout=0.0,
            **BLOCK,
        ),
        uses_batch="training",
    ),
    "Terminator-1d-no-stem": Layer(
        lambda: Terminator(1, 4, size=8, channels=[4, 6], stem=nn.Identity(), num_groups=1, **BLOCK),
        uses_batch="training",
    ),
    "Terminator-1d-published-options": Layer(
        lambda: Terminator(1, 4, size=8, channels=[4, 6, 8], statistics="batch", kernel_per="batch", **BLOCK),
        uses_batch="always",
    ),
    "Terminator-2d": Layer(
        lambda: Terminator(2, 4, size=IMAGE, channels=[4, 6, 8], concatenate_earlier=True, **BLOCK),
        uses_batch="training",
        size=IMAGE,
    ),
    "Terminator-2d-matmul": Layer(
        lambda: Terminator(2, 4, size=4, channels=[4, 6, 8], mode="matmul", **BLOCK),
        uses_batch="training",
        size=(4, 4),
    ),
    "SequenceMixer-1d": Layer(lambda: SequenceMixer(4, l_max=8, transposed=True, **SLOW)),
    "SequenceMixer-1d-kernel": Layer(lambda: SequenceMixer(4, l_max=8, context_in="kernel", transposed=True, **SLOW)),
    "SequenceMixer-1d-causal": Layer(
        lambda: SequenceMixer(4, l_max=8, causal=True, local_kernel_size=4, transposed=True, **SLOW), causal=True
    ),
    "SequenceMixer-1d-kernel-causal": Layer(
        lambda: SequenceMixer(4, l_max=8, causal=True, context_in="kernel", transposed=True, **SLOW), causal=True
    ),
    "SequenceMixer-1d-causal-exact": Layer(
        lambda: SequenceMixer(4, l_max=8, causal=True, exact=True, transposed=True, **SLOW), causal=True
    ),
    "SequenceBlock-1d-causal": Layer(
        lambda: SequenceBlock(4, l_max=8, causal=True, transposed=True, **BLOCK), causal=True
    ),
    "ResidualStack-1d-mixer": Layer(
        lambda: ResidualStack(4, layer=partial(SequenceMixer, l_max=8, **SLOW), depth=1, d_model=6, mlp="none")
    ),
    "ResidualStack-1d-gated": Layer(lambda: ResidualStack(4, layer=Attention, depth=2, d_model=6)),
    "ResidualStack-1d-plain": Layer(lambda: ResidualStack(4, layer=Operator, depth=1, d_model=6, mlp="plain")),
    "ResidualStack-1d-no-stem": Layer(
        lambda: ResidualStack(4, layer=Attention, depth=1, d_model=4, mlp="none", stem=nn.Identity())
    ),
}


def names(**wanted: object) -> list[str]:
    """Names of the layers whose attributes have these values; a tuple lists several."""
    return [
        name
        for name, layer in LAYERS.items()
        if all(
            getattr(layer, key) in (value if isinstance(value, tuple) else (value,)) for key, value in wanted.items()
        )
    ]


WITH_PARAMETERS = [name for name, layer in LAYERS.items() if list(layer.build().parameters())]
WITH_INPUTS = names(num_inputs=(1, 2))
CAUSAL = names(causal=True)
PADDED = names(num_inputs=(1, 2), takes_lengths=True, size=((8,),))
