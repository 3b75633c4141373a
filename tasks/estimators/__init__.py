"""What Python users call."""

from tasks.estimators.audio import AudioClassifier
from tasks.estimators.run import Run, load_run
from tasks.estimators.sequences import SequenceClassifier, SequenceRegressor

__all__ = ["AudioClassifier", "Run", "SequenceClassifier", "SequenceRegressor", "load_run"]
