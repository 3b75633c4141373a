"""The Lightning module of every task: backbone, head, loss, optimizer."""

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor, distributed, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from hyperseq.losses import slow_neural_loss
from hyperseq.nn import synchronize_statistics
from hyperseq.optim import param_groups
from tasks.data.batches import Batch, find_process
from tasks.errors import UserError
from tasks.learning.backbone import (
    HasHyperKernels,
    ShortensSequences,
    accepts,
    check_backbone,
    check_takes_rate,
    input_size,
)
from tasks.learning.fresh_statistics import EstimateStatistics
from tasks.learning.heads import ClassificationHead, check_columns, make_head
from tasks.learning.mixup import mix_up
from tasks.learning.optimizers import adamw, make_optimizer
from tasks.learning.predictions import Predictions
from tasks.learning.schedules import ScheduleName, make_schedule


class NonFiniteLossError(RuntimeError):
    """The loss became infinite or NaN."""


class Classifier(LightningModule):
    """Backbone and head, trained by the loss of the head and, of networks with hyper-kernels, the slow neural loss.

    The hyper-kernels depend on no input. Each step generates them once, for features and slow neural loss.

    Args:
        backbone: Features from inputs; any module that satisfies `tasks.learning.backbone.Backbone`.
        num_classes: Classes, or real targets; the command takes them from the data.
        head: Called with `(backbone.out_channels, num_classes)`; brings loss, metrics and predictions.
        label_smoothing: Share of the target spread over all classes while training.
        mixup: Mix training samples in pairs, by a weight from Beta(mixup, mixup), with the loss of both targets; 0 for
            none; 0.1 to 0.4. Training metrics are then those of the mixtures.
        class_weights: `balanced` weighs each class in the training loss by `N / (num_classes * n)`, n of the N training
            samples being of it, so that rare classes count as much as frequent ones; `null` weighs samples alike.
        slow_neural_loss_weight: Weight of the slow neural loss; a network of one block has no such loss.
        optimizer: Any optimizer by import path, called with the parameter groups and `lr`; AdamW by default.
        lr: Peak learning rate.
        slow_lr: Peak learning rate of the slow networks; `null` for `lr`.
        weight_decay: Decay of the weights; slow networks and biases have none.
        schedule: `one_cycle`, `cosine` or `constant`, over all steps of the training.
        warmup: Share of the steps in which the learning rate rises.
        ema_decay: Decay per step of an exponential moving average of the weights, such as 0.999. Validation, the best
            checkpoint and the test then use the average; training continues from the weights. `null` for none.
        estimate_statistics: Estimate running statistics anew from the training batches before each validation, by one
            more forward pass over them; `null` where an epoch has at most 22 batches.

    Raises:
        UserError: If backbone or head lack what training asks for, or an option is out of range.
    """

    # Any module that passes the checks: a protocol as annotation would refuse a forward without annotations.
    backbone: Any
    head: Any
    train_loss: Callable[..., Tensor]

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_classes: int,
        head: Callable[[int, int], nn.Module] = ClassificationHead,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        class_weights: Literal["balanced"] | None = None,
        slow_neural_loss_weight: float = 1.0,
        optimizer: Callable[[list[dict[str, Any]], float], Optimizer] = adamw,
        lr: float = 1e-3,
        slow_lr: float | None = None,
        weight_decay: float = 0.0,
        schedule: ScheduleName = "one_cycle",
        warmup: float = 0.3,
        ema_decay: float | None = None,
        estimate_statistics: bool | None = None,
    ) -> None:
        super().__init__()
        # fmt: off
        check_options(
            label_smoothing=label_smoothing, mixup=mixup, slow_neural_loss_weight=slow_neural_loss_weight, lr=lr,
            slow_lr=slow_lr, weight_decay=weight_decay, warmup=warmup, ema_decay=ema_decay,
        )
        # fmt: on
        check_backbone(backbone)
        self.backbone = backbone
        self.head = make_head(head, self.backbone.out_channels, num_classes)
        self.train_loss = self.head.loss
        if label_smoothing:
            if not accepts(self.head.loss, "label_smoothing"):
                name = type(self.head).__name__
                raise UserError(f"label_smoothing must be 0 with {name}, whose loss has none, got {label_smoothing}")
            self.train_loss = partial(self.head.loss, label_smoothing=label_smoothing)
        if class_weights and not accepts(self.head.loss, "class_weights"):
            name = type(self.head).__name__
            raise UserError(f"class_weights must be null with {name}, whose loss has none, got {class_weights}")
        self.mixup, self.class_weights = mixup, class_weights
        self.slow_neural_loss_weight = slow_neural_loss_weight
        self.optimizer, self.lr, self.slow_lr, self.weight_decay = optimizer, lr, slow_lr, weight_decay
        self.schedule, self.warmup = schedule, warmup
        self.ema_decay, self.estimate_statistics = ema_decay, estimate_statistics
        self.has_hyper_kernels = isinstance(backbone, HasHyperKernels)
        self._kept_kernels: tuple[tuple[int, ...], float, list[Tensor]] | None = None
        self._evaluated: list[Predictions] = []

    def forward(
        self,
        x: Tensor,
        *,
        lengths: Tensor | None = None,
        rate: float = 1.0,
        hyper_kernels: list[Tensor] | None = None,
    ) -> Tensor:
        """Turn inputs `(B, C, *S)`, or ids `(B, L)`, into the outputs of the head, such as logits `(B, num_classes)`.

        `lengths`, `(B,)`, are the filled positions of each sample. `rate` is the step relative to training: 2.0 means
        every second sample. `hyper_kernels` are those of the backbone for this rate, and this size or a larger one;
        `None` to generate them.

        Raises:
            UserError: If the features of the backbone have the wrong shape, or it takes no rate.
        """
        given: dict[str, Any] = {} if hyper_kernels is None else {"hyper_kernels": hyper_kernels}
        of_rate = {}
        if rate != 1:
            check_takes_rate(self.backbone)
            of_rate = {"rate": rate}
        features = self.backbone(x, lengths=lengths, **of_rate, **given)
        channels = self.backbone.out_channels
        name = type(self.backbone).__name__
        if not isinstance(features, Tensor) or features.dim() < 3 or features.shape[:2] != (x.shape[0], channels):
            found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise UserError(
                f"{name} must return features (B, C, *S) with B = {x.shape[0]} and C = out_channels = {channels}, "
                f"got {found}"
            )
        if lengths is not None and isinstance(self.backbone, ShortensSequences):
            lengths = self.backbone.output_lengths(lengths, **of_rate)
            # On a GPU, reading the values would wait for it at each step; the head checks its lengths there. A network
            # that is compiled or exported has no values to read.
            readable = lengths.device.type == "cpu" and not torch.compiler.is_compiling()
            if readable and ((lengths < 1) | (lengths > features.shape[-1])).any():
                raise UserError(
                    f"{name}.output_lengths must return 1 to {features.shape[-1]}, the positions of the features, got "
                    f"{int(lengths.min())} to {int(lengths.max())}"
                )
        elif lengths is not None and features.shape[-1] != x.shape[-1]:
            raise UserError(
                f"{name} must have a method output_lengths(lengths), since its features have another length than its "
                f"input: got {features.shape[-1]} for {x.shape[-1]} positions"
            )
        return self.head(features, lengths=lengths)

    def on_fit_start(self) -> None:
        """Take the weights of the classes from the training split, if they are balanced.

        Raises:
            UserError: If the data module does not count its classes.
        """
        if find_process()[1] > 1:
            # Together the processes have the batches of one process, and the statistics of these.
            synchronize_statistics(self)
        if self.class_weights is None:
            return
        data: Any = getattr(self.trainer, "datamodule", None)
        if not callable(getattr(data, "count_classes", None)):
            name = type(data).__name__
            raise UserError(f"class_weights must be null with {name}, which has no count_classes(), got balanced")
        counts = data.count_classes().to(self.device)
        weights = counts.sum() / (len(counts) * counts.clamp(min=1))
        self.train_loss = partial(self.train_loss, class_weights=weights)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of one batch.

        Raises:
            NonFiniteLossError: If the loss is infinite or NaN.
        """
        hyper_kernels = self.backbone.hyper_kernels(input_size(batch["x"])) if self.has_hyper_kernels else None
        x, lengths, y = batch["x"], batch.get("lengths"), batch["y"]
        mixture = mix_up(batch, concentration=self.mixup) if self.mixup else None
        if mixture is not None:
            x, lengths = mixture.x, mixture.lengths
        outputs = self(x, lengths=lengths, hyper_kernels=hyper_kernels)
        sample_loss = self.train_loss(outputs, y)
        if mixture is not None:
            other_loss = self.train_loss(outputs, y[mixture.order])
            sample_loss = mixture.weight * sample_loss + (1 - mixture.weight) * other_loss
        # The mean over processes of what is weighted by their shares of a batch is that of the joint batch.
        share, num_samples = self._share_batch(len(outputs))
        loss = share * sample_loss
        means: dict[str, Tensor] = {}
        # One block has no other block to be compared with.
        if hyper_kernels and len(hyper_kernels) > 1:
            means["train/slow_neural_loss"] = slow_neural_loss(hyper_kernels)
            loss = loss + self.slow_neural_loss_weight * means["train/slow_neural_loss"]
        if not self._are_finite(loss):
            remedy = f"a lower lr than {self.lr} or a smaller trainer.gradient_clip_val may help"
            if not batch["x"].isfinite().all():
                remedy = "x of this batch holds NaN or infinity"
            whose = "the loss" if not loss.isfinite() else "the loss of this process, not that of another,"
            raise NonFiniteLossError(
                f"{whose} is {loss.item()} at step {self.global_step + 1} (epoch {self.current_epoch + 1}); {remedy}"
            )
        metrics = self.head.metrics(outputs.detach().float(), batch["y"])
        means |= {f"train/{name}": share * value for name, value in metrics.items() if name != "score"}
        means["train/loss"] = loss
        # The epoch log writes one row an epoch, from the means; Lightning's own loggers would write several.
        several = num_samples > len(outputs)
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=num_samples, logger=False, sync_dist=several)
        return loss

    def _share_batch(self, num_samples: int) -> tuple[float, int]:
        """Return the samples of this process relative to the mean over all processes, and those of all."""
        _, num_processes = find_process()
        if num_processes == 1:
            return 1.0, num_samples
        count = torch.tensor(num_samples, device=self.device)
        distributed.all_reduce(count)
        return num_processes * num_samples / int(count), int(count)

    def _are_finite(self, loss: Tensor) -> bool:
        """Return whether the loss is finite in all processes: one that went on alone would wait for the others."""
        is_finite = loss.isfinite().all().to(torch.int32)
        if find_process()[1] > 1:
            distributed.all_reduce(is_finite, op=distributed.ReduceOp.MIN)
        return bool(is_finite)

    def evaluation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the outputs for one batch; a compiled network runs uncompiled, as its program is that of training."""
        with torch.compiler.set_stance("force_eager"):
            rate = batch.get("rate", 1.0)
            kernels = self._kernels_for(batch["x"], rate)
            outputs = self(batch["x"], lengths=batch.get("lengths"), rate=rate, hyper_kernels=kernels)
        self._evaluated.append(Predictions(batch["index"], batch["y"], outputs))

    validation_step = test_step = predict_step = evaluation_step

    def start_evaluation(self) -> None:
        """Forget the outputs and the kernels of an earlier evaluation."""
        self._evaluated, self._kept_kernels = [], None

    on_validation_epoch_start = on_test_epoch_start = on_predict_epoch_start = start_evaluation

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation split, and the score that the best checkpoint is chosen by."""
        table = self.join_predictions()
        metrics = self.head.metrics(table.outputs, table.targets)
        if "score" not in metrics:
            raise UserError(f"{type(self.head).__name__}.metrics must hold score, got {', '.join(metrics)}")
        check_columns(self.head, table.outputs)
        # All processes know the same value.
        several = find_process()[1] > 1
        self.log_dict({f"val/{name}": float(value) for name, value in metrics.items()}, logger=False, sync_dist=several)

    def join_predictions(self) -> Predictions:
        """Return the predictions of the last evaluation, in the order of the data set, and forget its kernels."""
        self._kept_kernels = None
        return Predictions.join(self._evaluated)

    def _kernels_for(self, x: Tensor, rate: float) -> list[Tensor] | None:
        """Return kernels for this input or a larger one: without training, a longer kernel begins with the shorter."""
        if not self.has_hyper_kernels:
            return None
        if rate != 1:
            check_takes_rate(self.backbone)
        size = input_size(x)
        if self._kept_kernels is not None and self._kept_kernels[1] == rate:
            kept, _, kernels = self._kept_kernels
            if all(cached >= needed for cached, needed in zip(kept, size, strict=True)):
                return kernels
            size = tuple(map(max, kept, size))
        kernels = self.backbone.hyper_kernels(size, **({} if rate == 1 else {"rate": rate}))
        self._kept_kernels = size, rate, kernels
        return kernels

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters with the peak learning rates and the decay of the config."""
        return param_groups(self, lr=self.lr, weight_decay=self.weight_decay, slow_lr=self.slow_lr)

    def build_optimizer(self) -> Optimizer:
        """Build the optimizer."""
        return make_optimizer(self.optimizer, self.parameter_groups(), lr=self.lr)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and its schedule."""
        optimizer = self.build_optimizer()
        total = self.trainer.estimated_stepping_batches
        if not isfinite(total):
            raise UserError(
                f"trainer must have max_steps, or max_epochs and data with a number of batches: schedules need "
                f"the number of steps, got max_epochs {self.trainer.max_epochs} and max_steps {self.trainer.max_steps}"
            )
        # A training without steps has a schedule that nothing asks.
        total_steps = max(int(total), 1)
        schedule = make_schedule(self.schedule, optimizer, total_steps=total_steps, warmup=self.warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_callbacks(self) -> list[Callback]:
        """Average the weights while they are trained, if `ema_decay` is given; then estimate running statistics.

        Validation sees the average, and checkpoints hold it in place of the weights. Running statistics are averaged,
        too, or estimated for the averaged weights: they then belong to the averaged weights.

        Lightning calls this method before every fit, validation and test. A new callback holds no average, so the
        weights that are loaded after the training are those that are scored.
        """
        estimate = EstimateStatistics(self.estimate_statistics)
        if self.ema_decay is None:
            return [estimate]
        average = partial(_average, get_ema_multi_avg_fn(self.ema_decay))
        device = self.trainer.strategy.root_device
        return [_WeightAveraging(device=device, use_buffers=True, multi_avg_fn=average), estimate]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the optimizer that the checkpoint belongs to."""
        checkpoint["optimizer"] = type(self.trainer.optimizers[0]).__qualname__

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to resume a training by another optimizer, or with an average where it began without one.

        Raises:
            UserError: If the optimizers differ, or one of the checkpoint and the model has an average alone.
        """
        begun_by, optimizer = checkpoint.get("optimizer"), type(self.build_optimizer()).__qualname__
        if optimizer != begun_by:
            raise UserError(f"optimizer must be {begun_by} to resume a training begun by it, got {optimizer}")
        averaged = "averaging_state" in checkpoint
        if averaged != (self.ema_decay is not None):
            begun = "with" if averaged else "without"
            raise UserError(
                f"ema_decay must be {'given' if averaged else 'null'} to resume a training begun {begun} averaged "
                f"weights, got {'null' if averaged else self.ema_decay}"
            )


class _WeightAveraging(WeightAveraging):
    """Averages in float32, or float64 with `64-true`: an average in bfloat16 would not move."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copy the weights in the type of the averages; Lightning casts the model to a half type afterwards."""
        if trainer.precision == "64-true":
            pl_module.double()
        super().setup(trainer, pl_module, stage)


def _average(update: Callable[..., None], averaged: list[Tensor], current: list[Tensor], num_averaged: Tensor) -> None:
    """Update the averages of tensors of one type by one call; sizes and counts, which are integers, are the newest."""
    if averaged[0].is_floating_point():
        update(averaged, [new.to(old.dtype) for old, new in zip(averaged, current, strict=True)], num_averaged)
    else:
        torch._foreach_copy_(averaged, current)


def check_options(**options: float | None) -> None:
    """Check the options of `Classifier` that are numbers, by their names; others are passed over.

    Raises:
        UserError: If an option is out of its range.
    """
    for name, rule, holds in OPTION_RULES:
        value = options.get(name)
        if value is not None and not (isfinite(value) and holds(value)):
            raise UserError(f"{name} must {rule}, got {value}")


OPTION_RULES: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
    ("label_smoothing", "lie in [0, 1)", lambda value: 0 <= value < 1),
    ("mixup", "be at least 0", lambda value: value >= 0),
    ("slow_neural_loss_weight", "be at least 0", lambda value: value >= 0),
    ("lr", "be positive", lambda value: value > 0),
    ("slow_lr", "be at least 0", lambda value: value >= 0),
    ("weight_decay", "be at least 0", lambda value: value >= 0),
    ("warmup", "lie in [0, 1]", lambda value: 0 <= value <= 1),
    ("ema_decay", "lie in [0, 1)", lambda value: 0 <= value < 1),
)
