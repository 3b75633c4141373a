"""From features to class scores."""

from torch import Tensor, nn

from hyperseq.functional import spatial_mean


class ClassificationHead(nn.Module):
    """Mean over the filled positions, then one linear layer.

    Args:
        in_channels: Channels of the features.
        num_classes: Classes to score.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, num_classes)

    def forward(self, features: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Score the classes.

        Args:
            features: Features, `(B, C, *S)`.
            lengths: Filled positions of each sample, `(B,)`, or `None` when all are full.

        Returns:
            Logits, `(B, num_classes)`.
        """
        return self.linear(spatial_mean(features, lengths=lengths))
