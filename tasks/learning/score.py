"""How well predictions agree with the data, and how sure that number is."""

from dataclasses import dataclass

from scipy.stats import binomtest

from tasks.learning.predictions import Predictions


@dataclass(frozen=True)
class Score:
    """Agreement of predictions with the data.

    Attributes:
        correct: Samples predicted right.
        num_samples: Samples evaluated.
        cross_entropy: Mean cross entropy of the true classes.
    """

    correct: int
    num_samples: int
    cross_entropy: float

    @classmethod
    def of(cls, table: Predictions) -> "Score":
        """Count the right predictions.

        Args:
            table: The predictions.

        Returns:
            The score.
        """
        correct = int((table["true"] == table["predicted"]).sum())
        return cls(correct, len(table["true"]), float(table["cross_entropy"].double().mean()))

    @property
    def accuracy(self) -> float:
        """Share of the samples predicted right."""
        return self.correct / self.num_samples

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence interval of the accuracy (Wilson 1927)."""
        interval = binomtest(self.correct, self.num_samples).proportion_ci(0.95, method="wilson")
        return float(interval.low), float(interval.high)
