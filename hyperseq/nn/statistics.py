"""Running statistics of a whole model: estimated anew, and shared by several processes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.nn.modules.batchnorm import _BatchNorm

from hyperseq.nn.standardization import BatchStandardization


@torch.no_grad()
def update_statistics(model: nn.Module, batches: Iterable[Tensor | Sequence[Any] | Mapping[str, Any]]) -> None:
    """Replace all running statistics of a model by the mean of the statistics of some batches.

    What `torch.optim.swa_utils.update_bn` does for torch's batch normalizations alone: for weights that were averaged,
    or that moved faster than the running statistics. All other layers, dropout among them, are in evaluation mode.

    Args:
        model: Any module. Its `BatchStandardization` layers and torch's batch normalizations are updated.
        batches: Inputs, as a tensor each, a sequence of arguments, or a mapping of keyword arguments. Of a loader that
            gives pairs of input and target, hand over the inputs: ``(x for x, _ in loader)``.

    Raises:
        ValueError: If there is no batch.

    Example:
        >>> model = nn.Sequential(BatchStandardization(3))
        >>> update_statistics(model, [5 + torch.zeros(2, 3, 100)])
        >>> model[0].running_mean
        tensor([5., 5., 5.])
    """
    layers = [module for module in model.modules() if isinstance(module, BatchStandardization | _BatchNorm)]
    modes = {module: module.training for module in model.modules()}
    momenta = [layer.momentum for layer in layers]
    model.eval()
    count = 0
    try:
        for count, batch in enumerate(batches, start=1):
            if count == 1:
                _start_anew(layers)
            _call(model, batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes.items():
            module.training = training
    if count == 0:
        raise ValueError("batches must hold at least one batch, got none")


def _start_anew(layers: Sequence[BatchStandardization | _BatchNorm]) -> None:
    for layer in layers:
        layer.train()
        layer.momentum = None
        if isinstance(layer, BatchStandardization):
            layer.reset_parameters()
        else:
            layer.reset_running_stats()


def _call(model: nn.Module, batch: Tensor | Sequence[Any] | Mapping[str, Any]) -> None:
    if isinstance(batch, Tensor):
        model(batch)
    elif isinstance(batch, Mapping):
        model(**batch)
    else:
        model(*batch)


def synchronize_statistics(model: nn.Module, process_group: ProcessGroup | None = None) -> nn.Module:
    """Let every `BatchStandardization` of a model standardize by the batch of all processes together.

    What `torch.nn.SyncBatchNorm.convert_sync_batchnorm` does for torch's batch normalizations alone. Each forward and
    each backward of a layer then waits for all processes. Outputs, running statistics and, with
    `torch.nn.parallel.DistributedDataParallel`, gradients equal those of one process with the whole batch.

    Args:
        model: Any module; changed in place.
        process_group: The processes; default: all.

    Returns:
        The model.

    Example:
        >>> model = synchronize_statistics(nn.Sequential(BatchStandardization(3)))
        >>> model(torch.randn(2, 3, 100)).shape
        torch.Size([2, 3, 100])
    """
    for module in model.modules():
        if isinstance(module, BatchStandardization):
            module.synchronized, module.process_group = True, process_group
    return model
