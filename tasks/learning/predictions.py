"""What a model says about the samples of a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from tasks.data.batches import find_process
from tasks.errors import UserError


@dataclass(frozen=True)
class Predictions:
    """The outputs for each sample; every tensor has one entry a sample.

    Attributes:
        index: Position in the whole data set, `(N,)`.
        targets: Classes `(N,)`, or real targets.
        outputs: Outputs of the head, `(N, ...)`.
    """

    index: Tensor
    targets: Tensor
    outputs: Tensor

    @classmethod
    def join(cls, batches: Sequence["Predictions"]) -> "Predictions":
        """Join batches in the order of the data set, on the CPU and in float64.

        Processes that evaluate together share the samples of each batch; each of them gets all.

        Raises:
            UserError: If no sample was evaluated, or one was evaluated twice.
        """
        if not batches:
            raise UserError("the evaluated split must hold at least one batch, got none")
        columns = ([getattr(batch, name) for batch in batches] for name in ("index", "targets", "outputs"))
        index, targets, outputs = (_join(column) for column in columns)
        if len(index) != len(index.unique()):
            raise UserError("index must name each sample once, got one twice")
        _, num_processes = find_process()
        if num_processes > 1:
            shares: list[Any] = [None] * num_processes
            distributed.all_gather_object(shares, (index, targets, outputs))
            index, targets, outputs = map(torch.cat, zip(*shares, strict=True))
        order = index.argsort(stable=True)
        if num_processes > 1:
            # A process without a share of a batch has repeated a sample of another one.
            ordered = index[order]
            order = order[torch.cat([torch.tensor([True]), ordered[1:] != ordered[:-1]])]
        return cls(index[order], targets[order], outputs[order])

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.index)

    def order_by_loss(self, head: Any) -> Tensor:
        """Return the rows by falling loss of each sample alone, `(N,)`; a loss of NaN comes first."""
        pairs = zip(self.outputs, self.targets, strict=True)
        losses = torch.tensor([float(head.loss(output[None], target[None])) for output, target in pairs])
        return losses.nan_to_num(nan=torch.inf).argsort(descending=True, stable=True)

    def are_right(self, head: Any) -> Tensor | None:
        """Return whether each sample is answered right, `(N,)`; `None` for answers that are real numbers."""
        predicted = head.predictions(self.outputs)["predicted"]
        if predicted.is_floating_point() or predicted.shape != self.targets.shape:
            return None
        return (predicted == self.targets).reshape(len(self), -1).all(dim=1)


def _join(column: list[Tensor]) -> Tensor:
    joined = torch.cat(column).detach().cpu()
    return joined.double() if joined.is_floating_point() else joined
