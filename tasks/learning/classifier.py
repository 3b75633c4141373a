"""The Lightning module of every classification task: backbone, head, loss, optimiser."""

from typing import Any

from pytorch_lightning import Callback, LightningModule
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from hyperseq.losses import slow_neural_loss
from hyperseq.optim import param_groups
from tasks.data.batches import Batch
from tasks.learning.heads import ClassificationHead
from tasks.learning.optimizers import OptimizerName, make_optimizer
from tasks.learning.predictions import Predictions, predictions
from tasks.learning.schedules import ScheduleName, make_schedule


class NonFiniteLossError(RuntimeError):
    """The loss became infinite or undefined."""


class Classifier(LightningModule):
    """Backbone and head, trained by cross entropy and the slow neural loss.

    The hyper-kernels depend on no input: they are generated once a step, and both the features and the slow neural
    loss are made from them.

    Args:
        backbone: Features from inputs, as `hyperseq.Terminator` makes them.
        num_classes: Classes; the command takes them from the data.
        label_smoothing: Share of the target spread over all classes while training.
        slow_neural_loss_weight: Weight of the slow neural loss.
        optimizer: `adamw`, `kar2` or `kar3`.
        lr: Peak learning rate.
        slow_lr: Peak learning rate of the slow networks; `null` for `lr`.
        weight_decay: Decay of the mixing weights; slow networks and biases have none.
        schedule: `one_cycle`, `cosine` or `constant`, over all steps of the training.
        warmup: Share of the steps in which the learning rate rises.
        ema_decay: Decay per step of an exponential moving average of the weights, such as 0.999. Validation, the best
            checkpoint and the test then use the average; the training goes on from the weights. `null` for none.

    Raises:
        ValueError: If `ema_decay` lies outside [0, 1).
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_classes: int,
        label_smoothing: float = 0.0,
        slow_neural_loss_weight: float = 1.0,
        optimizer: OptimizerName = "adamw",
        lr: float = 1e-3,
        slow_lr: float | None = None,
        weight_decay: float = 0.0,
        schedule: ScheduleName = "one_cycle",
        warmup: float = 0.3,
        ema_decay: float | None = None,
    ) -> None:
        super().__init__()
        if ema_decay is not None and not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must lie in [0, 1), got {ema_decay}")
        self.backbone = backbone
        self.head = ClassificationHead(backbone.out_channels, num_classes)
        self.label_smoothing = label_smoothing
        self.slow_neural_loss_weight = slow_neural_loss_weight
        self.optimizer, self.lr, self.slow_lr, self.weight_decay = optimizer, lr, slow_lr, weight_decay
        self.schedule, self.warmup = schedule, warmup
        self.ema_decay = ema_decay
        self.kept_kernels: list[Tensor] | None = None
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro")
        # By default the mean leaves undefined losses out, and looks better than the model is.
        self.val_cross_entropy = MeanMetric(nan_strategy=float("inf"))

    def forward(self, x: Tensor, *, lengths: Tensor | None = None, hyper_kernels: list[Tensor] | None = None) -> Tensor:
        """Score the classes.

        Args:
            x: Inputs, `(B, C, *S)`.
            lengths: Filled positions of each sample, `(B,)`, or `None` when all are full.
            hyper_kernels: What `backbone.hyper_kernels()` gave, or `None` to generate it.

        Returns:
            Logits, `(B, num_classes)`.
        """
        features = self.backbone(x, lengths=lengths, hyper_kernels=hyper_kernels)
        return self.head(features, lengths=lengths)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of one batch.

        Args:
            batch: The batch.
            batch_idx: Its number in the epoch.

        Returns:
            The loss to minimise.

        Raises:
            NonFiniteLossError: If the loss is infinite or undefined.
        """
        hyper_kernels = self.backbone.hyper_kernels()
        logits = self(batch["x"], lengths=batch.get("lengths"), hyper_kernels=hyper_kernels)
        slow_loss = slow_neural_loss(hyper_kernels)
        loss = cross_entropy(logits, batch["y"], label_smoothing=self.label_smoothing)
        loss = loss + self.slow_neural_loss_weight * slow_loss
        if not loss.isfinite():
            raise NonFiniteLossError(
                f"the loss is {loss.item()} at step {self.global_step + 1} (epoch {self.current_epoch + 1}); "
                f"a lower lr than {self.lr} or a smaller trainer.gradient_clip_val may help"
            )
        self.train_accuracy(logits, batch["y"])
        means = {
            "train/loss": loss,
            "train/cross_entropy": cross_entropy(logits.detach(), batch["y"]),
            "train/slow_neural_loss": slow_loss,
            "train/accuracy": self.train_accuracy,
        }
        # The epoch log writes one row an epoch, from the means; Lightning's own would write several.
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=len(logits), logger=False)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Predictions:
        """Predict one validation batch.

        Args:
            batch: The batch.
            batch_idx: Its number.

        Returns:
            The predictions.
        """
        logits = self(batch["x"], lengths=batch.get("lengths"), hyper_kernels=self.kept_kernels)
        self.val_accuracy(logits, batch["y"])
        self.val_cross_entropy(cross_entropy(logits, batch["y"]), weight=len(logits))
        return predictions(batch, logits)

    def on_validation_epoch_end(self) -> None:
        """Log accuracy and cross entropy, and the score that the best checkpoint is chosen by.

        The score is the accuracy; of epochs with as many right, the lower cross entropy wins. (It is above 0, so
        that 1 / (1 + it) counts for less than one more sample right.)
        """
        accuracy, loss = self.val_accuracy.compute(), self.val_cross_entropy.compute()
        score = accuracy + 1 / (1 + loss) / self.val_cross_entropy.weight
        self.log_dict({"val/accuracy": accuracy, "val/cross_entropy": loss, "val/score": score}, logger=False)
        self.val_accuracy.reset()
        self.val_cross_entropy.reset()
        self.drop_kernels()

    def test_step(self, batch: Batch, batch_idx: int) -> Predictions:
        """Predict one test batch.

        Args:
            batch: The batch.
            batch_idx: Its number.

        Returns:
            The predictions.
        """
        logits = self(batch["x"], lengths=batch.get("lengths"), hyper_kernels=self.kept_kernels)
        return predictions(batch, logits)

    predict_step = test_step

    def keep_kernels(self) -> None:
        """Generate the hyper-kernels for all batches to come: without training they stay the same."""
        self.kept_kernels = self.backbone.hyper_kernels()

    def drop_kernels(self) -> None:
        """Forget them."""
        self.kept_kernels = None

    on_validation_epoch_start = on_test_epoch_start = on_predict_epoch_start = keep_kernels
    on_test_epoch_end = on_predict_epoch_end = drop_kernels

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters with the peak learning rates and the decay of the config."""
        return param_groups(self, lr=self.lr, weight_decay=self.weight_decay, slow_lr=self.slow_lr)

    def configure_optimizers(self) -> dict[str, Any]:
        """Build the optimiser and its schedule."""
        optimizer = make_optimizer(self.optimizer, self.parameter_groups(), lr=self.lr)
        total_steps = int(self.trainer.estimated_stepping_batches)
        schedule = make_schedule(self.schedule, optimizer, total_steps=total_steps, warmup=self.warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_callbacks(self) -> list[Callback]:
        """Average the weights while they are trained, if `ema_decay` is given.

        Validation sees the average, and checkpoints hold it in place of the weights. The running statistics of
        standardisations are averaged, too, so that they lag as far behind as the weights that they belong to.

        Lightning asks anew before every fit, validation and test. A new callback holds no average yet, so what is
        loaded after the training is what is scored.
        """
        if self.ema_decay is None:
            return []
        # of all tensors in one call: one by one, hundreds of small ones take a noticeable part of a step
        average = get_ema_multi_avg_fn(self.ema_decay)
        return [WeightAveraging(device=self.trainer.strategy.root_device, use_buffers=True, multi_avg_fn=average)]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to resume with an average what was begun without one, or the other way round.

        Args:
            checkpoint: The checkpoint that the training continues.

        Raises:
            ValueError: If one of the checkpoint and the model has an average and the other has none.
        """
        averaged = "averaging_state" in checkpoint
        if averaged != (self.ema_decay is not None):
            begun = "with" if averaged else "without"
            raise ValueError(
                f"ema_decay must be {'given' if averaged else 'null'} to resume a training begun {begun} averaged "
                f"weights, got {'null' if averaged else self.ema_decay}"
            )
