"""Running statistics that belong to the weights that are validated."""

from collections.abc import Iterator
from itertools import islice
from math import isinf

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hyperseq.nn import BatchStandardization, update_statistics
from tasks.errors import UserError

FEW_BATCHES = 22
"""With momentum 0.1, nine tenths of a running average lie on the last 22 batches."""


class EstimateStatistics(Callback):
    """Estimate all running statistics anew from the training batches before each validation.

    A running average holds batches of earlier weights. In a shorter epoch than `FEW_BATCHES`, it holds those of an
    earlier epoch. The estimate costs one more forward pass over the training batches. Random numbers and weights stay
    as they are. Without a validation, the end of each epoch takes its place.

    Args:
        wanted: Whether to estimate; `None` where an epoch has at most `FEW_BATCHES` batches.
    """

    def __init__(self, wanted: bool | None) -> None:
        self.wanted = wanted

    def acts(self, trainer: Trainer, model: nn.Module) -> bool:
        """Return whether statistics are estimated in this training."""
        few = trainer.num_training_batches <= FEW_BATCHES
        return (few if self.wanted is None else self.wanted) and any(map(_has_average, model.modules()))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse training batches without an end."""
        if self.wanted and isinf(trainer.num_training_batches):
            raise UserError("estimate_statistics must be false where the training batches have no number, got true")

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Estimate, unless this is no validation of a training."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._estimate(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Estimate where there is no validation; averaged weights are not in place then, and keep their average."""
        averaged = any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        if not trainer.enable_validation and not averaged:
            self._estimate(trainer, pl_module)

    def _estimate(self, trainer: Trainer, model: LightningModule) -> None:
        if not self.acts(trainer, model):
            return
        # Compiled code would be compiled once more, for layers in training inside a model in evaluation.
        with isolate_rng(), trainer.precision_plugin.forward_context(), torch.compiler.set_stance("force_eager"):
            update_statistics(model, _inputs(trainer, model))


def _has_average(layer: nn.Module) -> bool:
    if isinstance(layer, BatchStandardization):
        return layer.statistics == "running"
    return isinstance(layer, _BatchNorm) and layer.track_running_stats


def _inputs(trainer: Trainer, model: LightningModule) -> Iterator[dict[str, Tensor]]:
    """Yield the inputs of an epoch, by a loader of their own: that of the training may be half way through."""
    loader = trainer.fit_loop._data_source.dataloader()
    if callable(set_epoch := getattr(getattr(loader, "sampler", None), "set_epoch", None)):
        set_epoch(trainer.current_epoch)
    for batch in islice(loader, int(trainer.num_training_batches)):
        moved = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch), model.device)
        yield {name: moved[name] for name in ("x", "lengths") if name in moved}
