"""From features to outputs; loss, metrics and the columns of the predictions come with the head."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, gelu, l1_loss, mse_loss

from hyperseq.functional import spatial_mean
from tasks.errors import UserError, is_raised_within
from tasks.learning.backbone import accepts


@runtime_checkable
class Head(Protocol):
    """What a head must offer; it is built as `head(backbone.out_channels, num_classes)`."""

    def forward(self, features: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Turn features `(B, C, *S)` into outputs `(B, ...)`."""
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar that training minimizes; a head for classes may take more, see `ClassificationHead`."""
        ...

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the metrics over these samples, the main one first, and `score`: the highest one keeps its epoch."""
        ...

    def predictions(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the columns of `predictions.csv`, `predicted` among them; each has one entry a sample."""
        ...


def check_head(head: nn.Module) -> None:
    """Check that a head can be trained.

    Raises:
        UserError: If anything is missing; one message names all of it.
    """
    missing = [
        f"{name}({takes})"
        for name, takes in (("loss", "outputs, targets"), ("metrics", "outputs, targets"), ("predictions", "outputs"))
        if not callable(getattr(head, name, None))
    ]
    if not accepts(head.forward, "lengths"):
        missing.append("forward(features, *, lengths=None)")
    if missing:
        raise UserError(f"{type(head).__name__} is no head that can be trained: {', '.join(missing)} must be there")


def check_columns(head: Head, outputs: Tensor) -> None:
    """Check the predictions of a head for these outputs; `UserError` if they are no columns of one row a sample."""
    columns = head.predictions(outputs)
    rule = f"{type(head).__name__}.predictions must return a dict of tensors with {len(outputs)} rows, one a sample"
    if not isinstance(columns, dict) or "predicted" not in columns:
        found = ", ".join(columns) if isinstance(columns, dict) else type(columns).__name__
        raise UserError(f"{rule}, `predicted` among them, got {found}")
    for name, column in columns.items():
        if not isinstance(column, Tensor) or column.shape[:1] != outputs.shape[:1]:
            found = f"shape {tuple(column.shape)}" if isinstance(column, Tensor) else type(column).__name__
            raise UserError(f"{rule}, got {found} for {name}")


def _check_targets(head: nn.Module, targets: Tensor, *, real: bool, num_dims: int) -> None:
    if targets.is_floating_point() != real or targets.ndim > num_dims:
        rule = "real, (B,) or (B, num_targets) of float32" if real else "classes, (B,) of int64"
        found = f"{tuple(targets.shape)} of {'real numbers' if targets.is_floating_point() else 'integers'}"
        raise UserError(f"y must be {rule} with {type(head).__name__}, got {found}")


def make_head(factory: Callable[[int, int], nn.Module], in_channels: int, num_classes: int) -> nn.Module:
    """Build a head and check it.

    Raises:
        UserError: If the factory does not take the two numbers, or its head cannot be trained.
    """
    try:
        head = factory(in_channels, num_classes)
    except TypeError as error:
        # The factories of a config are called through jsonargparse; an error inside the head is the user's.
        if not is_raised_within(error, {"jsonargparse"}):
            raise
        raise UserError(
            f"head must be called with (out_channels, num_classes), got one that cannot: {error}"
        ) from error
    check_head(head)
    return head


class ClassificationHead(nn.Module):
    """Mean over the filled positions, then one linear layer; trained by cross entropy.

    Args:
        in_channels: Channels of the features.
        num_classes: Classes to score.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, num_classes)

    def forward(self, features: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Return logits `(B, num_classes)` of features `(B, C, *S)`."""
        return self.linear(spatial_mean(features, lengths=lengths))

    def loss(
        self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """Return the mean cross entropy; with `class_weights`, `(num_classes,)`, the mean weighted by them."""
        _check_targets(self, targets, real=False, num_dims=1)
        return cross_entropy(outputs, targets, weight=class_weights, label_smoothing=label_smoothing)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return accuracy and cross entropy.

        The score is the accuracy. Among equal accuracies the lower cross entropy wins: its term stays below the
        accuracy of one sample.
        """
        _check_targets(self, targets, real=False, num_dims=1)
        accuracy = (outputs.argmax(dim=1) == targets).to(outputs.dtype).mean()
        loss = cross_entropy(outputs, targets)
        score = accuracy + 1 / (1 + loss) / len(targets)
        return {"accuracy": accuracy, "cross_entropy": loss, "score": score}

    def predictions(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the class with the highest score, and the probability that the model gives to it."""
        probability, predicted = self.probabilities(outputs).max(dim=1)
        return {"predicted": predicted, "probability": probability}

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each class, `(B, num_classes)`."""
        return outputs.softmax(dim=1)


class MultiLabelHead(nn.Module):
    """Mean over the filled positions, then one linear layer; each label is a yes-or-no answer of its own.

    Targets are 0 or 1, `(B, num_labels)` of `float32`. Trained by the mean binary cross entropy.

    Args:
        in_channels: Channels of the features.
        num_labels: Labels to score; the command takes `num_classes` of the data.
        threshold: A label is predicted from this probability on, between 0 and 1.
    """

    def __init__(self, in_channels: int, num_labels: int, *, threshold: float = 0.5) -> None:
        super().__init__()
        if not 0 < threshold < 1:
            raise UserError(f"threshold must lie between 0 and 1, got {threshold}")
        self.linear, self.threshold = nn.Linear(in_channels, num_labels), threshold

    def forward(self, features: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Return logits `(B, num_labels)` of features `(B, C, *S)`."""
        return self.linear(spatial_mean(features, lengths=lengths))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean binary cross entropy."""
        return binary_cross_entropy_with_logits(outputs, self._check(targets))

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return F1 over all answers, `2 TP / (2 TP + FP + FN)`, the share of right answers, and the cross entropy."""
        targets = self._check(targets).to(outputs.dtype)
        predicted = self.predictions(outputs)["predicted"].to(outputs.dtype)
        found, wrong = (predicted * targets).sum(), (predicted - targets).abs().sum()
        # Nothing to find and nothing found is right.
        f1 = torch.where(found + wrong > 0, 2 * found / (2 * found + wrong).clamp(min=1), torch.ones_like(found))
        loss = binary_cross_entropy_with_logits(outputs, targets)
        right = 1 - wrong / targets.numel()
        return {"f1": f1, "label_accuracy": right, "binary_cross_entropy": loss, "score": -loss}

    def predictions(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return 1 for each label from the threshold on, and the probability of each label."""
        probability = self.probabilities(outputs)
        return {"predicted": (probability >= self.threshold).long(), "probability": probability}

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each label, `(B, num_labels)`; they need not sum to 1."""
        return outputs.sigmoid()

    def _check(self, targets: Tensor) -> Tensor:
        wanted = (len(targets), self.linear.out_features)
        if not targets.is_floating_point() or targets.shape != wanted or not ((targets == 0) | (targets == 1)).all():
            found = f"{tuple(targets.shape)} of {str(targets.dtype).removeprefix('torch.')}"
            raise UserError(f"y must be 0 or 1, (B, {wanted[1]}) of float32, with MultiLabelHead, got {found}")
        return targets


class TwoTowerHead(ClassificationHead):
    """Compare two sequences: `MLP([u, v, u - v, u * v])` of their means u and v over the filled positions.

    This is the head of S4 for Retrieval, after Xiong et al. 2021 (arXiv 2102.03902). The features hold the first
    sequences of all pairs, then the second ones. Loss, metrics and predictions are those of `ClassificationHead`.

    Args:
        in_channels: Channels of the features.
        num_classes: Classes to score.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.hidden = nn.Linear(4 * in_channels, in_channels)

    def forward(self, features: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Return logits `(B, num_classes)` of features `(2 * B, C, *S)`."""
        if len(features) % 2:
            raise UserError(f"features must hold pairs with TwoTowerHead, got {len(features)} sequences")
        first, second = spatial_mean(features, lengths=lengths).chunk(2)
        pair = torch.cat([first, second, first - second, first * second], dim=1)
        return self.linear(gelu(self.hidden(pair)))


class RegressionHead(nn.Module):
    """Mean over the filled positions, then one linear layer; trained by the mean squared error.

    Targets are real, `(B,)` or `(B, num_targets)`.

    Args:
        in_channels: Channels of the features.
        num_targets: Numbers to predict; the command takes `num_classes` of the data.
    """

    def __init__(self, in_channels: int, num_targets: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, num_targets)

    def forward(self, features: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Return numbers `(B, num_targets)` of features `(B, C, *S)`."""
        return self.linear(spatial_mean(features, lengths=lengths))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error."""
        return mse_loss(outputs, self._columns(targets))

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the mean absolute error, the root mean squared error and the share of explained variance."""
        targets = self._columns(targets)
        squared = mse_loss(outputs, targets)
        variance = (targets - targets.mean(dim=0)).square().mean()
        # One sample, or equal targets, have no variance to explain.
        explained = torch.where(variance > 0, 1 - squared / variance, torch.zeros_like(squared))
        metrics = {"mean_absolute_error": l1_loss(outputs, targets), "root_mean_squared_error": squared.sqrt()}
        return metrics | {"r_squared": explained, "score": -squared}

    def predictions(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the predicted numbers."""
        return {"predicted": outputs.squeeze(1) if outputs.shape[1] == 1 else outputs}

    def _columns(self, targets: Tensor) -> Tensor:
        _check_targets(self, targets, real=True, num_dims=2)
        columns, wanted = targets.reshape(len(targets), -1), self.linear.out_features
        if columns.shape[1] != wanted:
            raise UserError(f"y must be (B, {wanted}), one column for each target, got {tuple(targets.shape)}")
        return columns
