"""How well predictions agree with the data, and how sure that number is."""

from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

from tasks.learning.predictions import Predictions


@dataclass(frozen=True)
class Score:
    """Agreement of predictions with the data.

    Attributes:
        metrics: The metrics of the head, the main one first.
        num_samples: Samples evaluated.
    """

    metrics: dict[str, float]
    num_samples: int

    @classmethod
    def of(cls, predictions: Predictions, head: Any) -> "Score":
        """Compute the metrics of a head over all samples."""
        metrics = head.metrics(predictions.outputs, predictions.targets)
        return cls({name: float(value) for name, value in metrics.items() if name != "score"}, len(predictions))

    @property
    def correct(self) -> int | None:
        """Samples predicted right; `None` where accuracy is no metric."""
        return round(self.metrics["accuracy"] * self.num_samples) if "accuracy" in self.metrics else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% confidence interval of the accuracy (Wilson 1927); `None` where accuracy is no metric."""
        if self.correct is None:
            return None
        interval = binomtest(self.correct, self.num_samples).proportion_ci(0.95, method="wilson")
        return float(interval.low), float(interval.high)
