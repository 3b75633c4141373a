"""A resumed training that follows its config."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from tasks.learning.classifier import Classifier


class LearningRates(Callback):
    """Use the learning rates and the decay of the config, not those stored in the resumed checkpoint."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the rates again; Lightning has just restored those of the checkpoint."""
        assert isinstance(pl_module, Classifier)
        schedule: Any = trainer.lr_scheduler_configs[0].scheduler
        groups = pl_module.parameter_groups()
        schedule.base_lrs = [group["lr"] for group in groups]
        for group, wanted, factor in zip(trainer.optimizers[0].param_groups, groups, schedule.lr_lambdas, strict=True):
            group["initial_lr"], group["weight_decay"] = wanted["lr"], wanted["weight_decay"]
            group["lr"] = wanted["lr"] * factor(schedule.last_epoch)
