"""What Python users call."""

from tasks.estimators.run import Run, load_run

__all__ = ["Run", "load_run"]
