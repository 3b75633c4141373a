"""Mixup: samples of a training batch mixed in pairs, with the loss of both targets."""

from typing import NamedTuple

import torch
from torch import Tensor

from tasks.data.batches import Batch
from tasks.errors import UserError


class Mixture(NamedTuple):
    """A batch whose sample i is `weight` times sample i and `1 - weight` times sample `order[i]` of the given one.

    Its loss is the mean of the losses with both targets, weighted alike.
    """

    x: Tensor
    lengths: Tensor | None
    order: Tensor
    weight: float


def mix_up(batch: Batch, *, concentration: float) -> Mixture:
    """Mix each sample with another of its batch, by one weight from Beta(a, a) for all (Zhang et al. 2018, mixup).

    Sequences of unequal length are mixed up to the longer one; the shorter one is zero behind its end. Random numbers
    are torch's, which each epoch seeds: they do not depend on the workers of the loader.

    Args:
        batch: A training batch.
        concentration: a; small values mix little, 1 mixes uniformly; 0.1 to 0.4.

    Raises:
        UserError: If x holds ids.
    """
    x, lengths = batch["x"], batch.get("lengths")
    if not x.is_floating_point():
        raise UserError(f"mixup must be 0 for ids, which have no mixtures, got {concentration}")
    weight = float(torch.distributions.Beta(concentration, concentration).sample())
    order = torch.randperm(len(x)).to(x.device)
    mixed = weight * x + (1 - weight) * x[order]
    return Mixture(mixed, None if lengths is None else torch.maximum(lengths, lengths[order]), order, weight)
