"""How much memory a training needs, found out before its first step."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn

from tasks.errors import UserError

PROBED_POSITIONS = 2048
"""Longest sequence that is tried out. The activations of longer ones are in proportion."""
COPIES = 4
"""Weights, their gradients and the two averages of Adam."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a step needs at least: what the backward pass reads, and the weights.

    A step takes up to twice as much for a moment. Activations are estimated as linear in samples and positions; a
    network that keeps more than that needs more.

    Attributes:
        shared: Bytes that do not depend on the batch size, such as those of the kernels.
        each: Bytes of a sample of the longest length.
        size: Positions of that sample.
    """

    shared: int
    each: int
    size: int

    def of_batch(self, batch_size: int) -> int:
        """Return the bytes for a batch of samples of the longest length."""
        return self.shared + batch_size * self.each

    def check_fits(self, batch_size: int, free: int) -> None:
        """Check that a batch fits into the free bytes; `UserError` names the batch size that would."""
        if (needed := self.of_batch(batch_size)) <= free:
            return
        fitting = max(0, (free - self.shared) // max(self.each, 1))
        remedy = f"data.batch_size {fitting} may fit" if fitting else (
            "no batch fits: a stem that shortens the sequences (strides) or checkpoint: true needs less"
        )  # fmt: skip
        raise UserError(
            f"a batch must fit into memory, {format_bytes(free)} are free, got {batch_size} x {self.size:,} positions, "
            f"which need at least {format_bytes(needed)}; {remedy}"
        )


class CheckMemory(Callback):
    """Estimate the memory of a step of a network for sequences, and refuse a batch that cannot fit.

    Attributes:
        told: What the plan shows; `None` where nothing is known.
    """

    told: str | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Estimate and check, before anything is written; a network that takes no other batch is left alone."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if data.num_spatial_dims != 1 or trainer.world_size > 1:
            return
        with trainer.precision_plugin.forward_context():
            estimate = estimate_memory(pl_module, data)
        if estimate is None:
            return
        free = free_bytes(pl_module.device)
        self.told = f"at least {format_bytes(estimate.of_batch(data.batch_size))} a step of the longest sequences"
        if free is not None:
            self.told += f", {format_bytes(free)} are free"
            estimate.check_fits(data.batch_size, free)


def estimate_memory(model: Any, data: Any) -> MemoryEstimate | None:
    """Estimate the memory of a step by two forward passes of a copy, of 2 and of 4 short samples.

    The result is `None` for a network that cannot take such samples.
    """
    network = copy.deepcopy(nn.ModuleDict({"backbone": model.backbone, "head": model.head})).train()
    size = data.size[0]
    length = min(size, PROBED_POSITIONS)
    try:
        with isolate_rng(), torch.compiler.set_stance("force_eager"):
            two, four = (_count_kept(network, _probe(model, data, count, length)) for count in (2, 4))
    except Exception:
        # The user's own network may take one length alone; its errors belong to the training.
        return None
    each = (four - two) // 2
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return MemoryEstimate(
        shared=(two - 2 * each) * size // length + COPIES * weights, each=each * size // length, size=size
    )


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; `None` where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if device.type != "cpu" or not meminfo.is_file():
        return None
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


def format_bytes(count: int) -> str:
    """Write a number of bytes as people read it.

    Example:
        >>> format_bytes(3 * 2**29), format_bytes(2**20)
        ('1.5 GiB', '1 MiB')
    """
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _probe(model: Any, data: Any, count: int, length: int) -> Tensor:
    device = model.device
    if data.num_tokens is not None:
        return torch.zeros(count, length, dtype=torch.int64, device=device)
    return torch.randn(count, data.in_channels, length, dtype=model.dtype, device=device)


def _count_kept(network: nn.ModuleDict, x: Tensor) -> int:
    """Count the bytes that autograd keeps for the backward pass, without the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # The storage is held, so that its address belongs to no later one.
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network["head"](network["backbone"](x))
    return sum(storage.nbytes() for address, storage in kept.items() if address not in weights)
