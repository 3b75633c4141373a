"""Estimators of scikit-learn for sequences of equal or unequal length."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.utilities.seed import isolate_rng
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor

from hyperseq import Terminator
from tasks.console import make_console
from tasks.data.batches import TensorBatches, batch_loader
from tasks.data.sequences.arrays import Array, Sequences, make_sequences
from tasks.data.sequences.data_module import Normalization, SequenceDataModule, TargetKind
from tasks.errors import UserError
from tasks.learning.classifier import Classifier
from tasks.learning.heads import ClassificationHead, RegressionHead
from tasks.runs.checkpoints import checkpoint_callbacks, load_weights
from tasks.runs.run_folder import RunFolder
from tasks.training.callbacks.epoch_seeding import EpochSeeding
from tasks.training.callbacks.learning_rates import LearningRates
from tasks.training.callbacks.progress import TrainingProgress
from tasks.training.warning_filters import quiet

Self = TypeVar("Self", bound="_SequenceEstimator")


class _SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: reading X, training, outputs, files."""

    kind: TargetKind

    def __init__(
        self,
        *,
        channels: Sequence[int] = (16, 32),
        local_kernel_sizes: Sequence[int] = (3, 9),
        omega_0: float = 30.0,
        max_epochs: int = 20,
        batch_size: int = 16,
        lr: float = 5e-3,
        weight_decay: float = 0.01,
        gradient_clip_val: float = 1.0,
        normalization: Normalization = "channel",
        missing: Literal["refuse", "indicate"] = "refuse",
        validation: float = 0.0,
        random_state: int = 0,
        progress: bool = False,
    ) -> None:
        self.channels, self.local_kernel_sizes, self.omega_0 = channels, local_kernel_sizes, omega_0
        self.max_epochs, self.batch_size, self.lr, self.weight_decay = max_epochs, batch_size, lr, weight_decay
        self.gradient_clip_val, self.normalization, self.missing = gradient_clip_val, normalization, missing
        self.validation, self.random_state, self.progress = validation, random_state, progress

    def save(self, path: str | Path) -> None:
        """Write parameters, statistics and weights to one file, which `load` reads without running code of it."""
        check_is_fitted(self)
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_") and name != "model_"}
        plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fitted.items()}
        content = {"estimator": type(self).__name__, "options": self.get_params(), "fitted": plain}
        torch.save(content | {"state_dict": self.model_.state_dict()}, path)

    @classmethod
    def load(cls: type[Self], path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: If the file is of another estimator.
        """
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content.get("estimator") != cls.__name__:
            raise UserError(f"path must be a file of {cls.__name__}, got one of {content.get('estimator')}")
        estimator = cls(**content["options"])
        for name, value in content["fitted"].items():
            setattr(estimator, name, np.array(value) if name == "classes_" else value)
        estimator.model_ = estimator._build_model()
        estimator.model_.load_state_dict(content["state_dict"])
        estimator.model_.eval()
        return estimator

    def _fit(self, sequences: Sequences, y: Array) -> None:
        data = _TrainingData(sequences, y, kind=self.kind, options=self._data_options())
        # As the command seeds: model, order of the batches and dropout depend on random_state alone.
        with isolate_rng(), quiet(), TemporaryDirectory() as folder:
            torch.manual_seed(self.random_state)
            data.setup()
            self.learnt_, self.in_channels_, self.size_ = data.learnt, data.in_channels, list(data.size)
            self.num_outputs_ = data.num_classes
            model = self._build_model()
            run = RunFolder(Path(folder))
            progress = [TrainingProgress(make_console())] if self.progress else []
            selected = data.selected_on != "last"
            best, last = checkpoint_callbacks(run)
            trainer = Trainer(
                max_epochs=self.max_epochs,
                gradient_clip_val=self.gradient_clip_val,
                accelerator="cpu",
                devices=1,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                limit_val_batches=1.0 if selected else 0,
                log_every_n_steps=1,
                default_root_dir=run.path,
                callbacks=[
                    LearningRates(),
                    EpochSeeding(self.random_state),
                    *progress,
                    best if selected else last,
                ],
            )
            trainer.fit(model, datamodule=data)
            load_weights(model, run.checkpoint("best" if selected else "last"))
        # A model keeps its trainer, which holds the data.
        model._trainer = None
        self.model_ = model.eval()

    def _build_model(self) -> Classifier:
        backbone = Terminator(
            1,
            in_channels=self.in_channels_,
            size=tuple(self.size_),
            channels=list(self.channels),
            local_kernel_sizes=list(self.local_kernel_sizes),
            omega_0=self.omega_0,
        )
        head = ClassificationHead if self.kind == "classes" else RegressionHead
        smoothing = {"label_smoothing": self.label_smoothing} if self.kind == "classes" else {}
        return Classifier(
            backbone, num_classes=self.num_outputs_, head=head, lr=self.lr, weight_decay=self.weight_decay, **smoothing
        )

    def _data_options(self) -> dict[str, Any]:
        return {
            "normalization": self.normalization,
            "missing": self.missing,
            "validation": self.validation,
            "batch_size": self.batch_size,
            "seed": self.random_state,
        }

    def _read(self, X: Any, *, fitting: bool = False) -> Sequences:
        """Return the sequences of X: a list of arrays, `(N, C, L)`, `(N, L)` or a frame of one row a sequence."""
        if isinstance(X, list | tuple) and len(X) and isinstance(X[0], np.ndarray | Tensor | list | tuple):
            is_table = all(np.ndim(each) == 1 for each in X) and len({len(each) for each in X}) == 1
        else:
            is_table = not isinstance(X, Tensor) and getattr(X, "ndim", 2) < 3
        if not is_table:
            return make_sequences(X)
        finite = "allow-nan" if self.missing == "indicate" else True
        table = check_array(X, dtype=np.float64, ensure_all_finite=finite, estimator=self, input_name="X")
        if fitting:
            self.n_features_in_ = table.shape[1]
        return make_sequences(table)

    def _outputs(self, X: Any) -> Tensor:
        check_is_fitted(self)
        data = _TrainingData(self._read(X), None, kind=self.kind, options=self._data_options())
        data.load_state_dict(self.learnt_)
        x = data.prepare_new(data.sequences)
        rows = torch.arange(len(x))
        loader = batch_loader(TensorBatches(x=x, y=rows, index=rows), batch_size=self.batch_size, bucket_by_length=True)
        outputs = torch.empty(len(x), self.num_outputs_)
        with torch.no_grad():
            for batch in loader:
                outputs[batch["index"]] = self.model_(batch["x"], lengths=batch["lengths"])
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = deepcopy(super().__sklearn_tags__())
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "indicate"
        tags.non_deterministic = False
        return tags


class SequenceClassifier(ClassifierMixin, _SequenceEstimator):  # type: ignore[misc]
    """A Terminator that classifies sequences, as a scikit-learn estimator.

    Args:
        channels: Channels of each block; deeper and wider for more data.
        local_kernel_sizes: Sizes of the local kernels, odd.
        omega_0: Frequency of the slow networks; 10 to 100.
        label_smoothing: Share of the target spread over all classes, 0 to 0.2.
        max_epochs: Passes over the data, at least 1.
        batch_size: Sequences a batch; 8 to 64.
        lr: Peak learning rate; 1e-3 to 1e-2.
        weight_decay: Decay of the weights; 0 to 0.1.
        gradient_clip_val: Largest norm of the gradients.
        normalization: By `channel` (of the training data), by `sample`, or `none`.
        missing: `refuse` NaN, or `indicate` them by a second channel for each channel.
        validation: Share of the data that chooses the epoch, 0 to 0.5; 0 keeps the last weights.
        random_state: Seed of weights, batches and split.
        progress: Show a bar.

    Attributes:
        classes_: Classes in the order of the probabilities.
        model_: The trained `Classifier`.

    Example:
        >>> import numpy as np
        >>> X = [np.full(5, 1.0), np.full(7, -1.0)] * 4
        >>> model = SequenceClassifier(channels=[4, 4], max_epochs=1).fit(X, ["up", "down"] * 4)
        >>> model.predict_proba(X).shape
        (8, 2)
    """

    kind: TargetKind = "classes"

    def __init__(
        self,
        *,
        channels: Sequence[int] = (16, 32),
        local_kernel_sizes: Sequence[int] = (3, 9),
        omega_0: float = 30.0,
        label_smoothing: float = 0.05,
        max_epochs: int = 20,
        batch_size: int = 16,
        lr: float = 5e-3,
        weight_decay: float = 0.01,
        gradient_clip_val: float = 1.0,
        normalization: Normalization = "channel",
        missing: Literal["refuse", "indicate"] = "refuse",
        validation: float = 0.0,
        random_state: int = 0,
        progress: bool = False,
    ) -> None:
        super().__init__(
            channels=channels,
            local_kernel_sizes=local_kernel_sizes,
            omega_0=omega_0,
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            gradient_clip_val=gradient_clip_val,
            normalization=normalization,
            missing=missing,
            validation=validation,
            random_state=random_state,
            progress=progress,
        )
        self.label_smoothing = label_smoothing

    def fit(self, X: Any, y: Any) -> "SequenceClassifier":
        """Train on sequences X and their classes `y`, `(N,)`.

        Raises:
            UserError: If X and y do not fit each other, or there are fewer than two classes.
        """
        _require(y, self)
        sequences = self._read(X, fitting=True)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UserError(f"y must hold at least 2 classes, got 1 class ({str(self.classes_[0])!r})")
        self._fit(sequences, encoded)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, `(N, len(classes_))`."""
        check_is_fitted(self)
        return self.model_.head.probabilities(self._outputs(X).double()).numpy()

    def predict(self, X: Any) -> Array:
        """Return the class of each sequence, `(N,)`."""
        check_is_fitted(self)
        return self.classes_[self._outputs(X).argmax(dim=1).numpy()]


class SequenceRegressor(RegressorMixin, _SequenceEstimator):  # type: ignore[misc]
    """A Terminator that predicts numbers from sequences, as a scikit-learn estimator.

    Targets are standardized for training, and predictions are in the units of `y`. The options are those of
    `SequenceClassifier` but `label_smoothing`.

    Example:
        >>> import numpy as np
        >>> X = [np.full(5, 1.0), np.full(7, -1.0)] * 4
        >>> SequenceRegressor(channels=[4, 4], max_epochs=1).fit(X, [3.0, 5.0] * 4).predict(X).shape
        (8,)
    """

    kind: TargetKind = "numbers"

    def fit(self, X: Any, y: Any) -> "SequenceRegressor":
        """Train on sequences X and numbers `y`, `(N,)` or `(N, K)`.

        Raises:
            UserError: If X and y do not fit each other, or a number is infinite or NaN.
        """
        _require(y, self)
        sequences = self._read(X, fitting=True)
        targets = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        self.one_target_ = targets.ndim == 1
        columns = targets.reshape(len(targets), -1)
        std = columns.std(axis=0)
        self.target_mean_, self.target_std_ = columns.mean(axis=0).tolist(), np.where(std > 0, std, 1.0).tolist()
        self._fit(sequences, (columns - self.target_mean_) / self.target_std_)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> Array:
        """Return the predicted numbers, in the shape of the `y` of the training."""
        check_is_fitted(self)
        columns = self._outputs(X).double().numpy() * self.target_std_ + self.target_mean_
        return columns[:, 0] if self.one_target_ else columns


def _require(y: Any, estimator: BaseEstimator) -> None:
    if y is None:
        # The words that scikit-learn's own check looks for.
        raise UserError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")


class _TrainingData(SequenceDataModule):
    """Sequences that Python code passed."""

    needs_test_split = False

    def __init__(self, sequences: Sequences, y: Array | None, *, kind: TargetKind, options: dict[str, Any]) -> None:
        super().__init__(targets=kind, **options)
        self.sequences, self.y = sequences, y

    def read(self) -> Sequences:
        """Return the sequences, all for training and validation."""
        count = len(self.sequences)
        if self.y is not None and len(self.y) != count:
            raise UserError(f"y must have one entry a sequence, got {len(self.y)} for {count} sequences")
        return Sequences(self.sequences.x, self.sequences.names, y=self.y, split=("train",) * count)
