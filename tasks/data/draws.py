"""Random numbers of a sample, for augmentation that no number of workers changes."""

import numpy as np
import torch
from torch import Tensor


def uniform_draws(index: Tensor, *, num_draws: int, seed: int, epoch: int) -> Tensor:
    """Draw `(B, num_draws)` numbers from 0 to below 1, of `float64`, that seed, epoch and position alone decide."""
    # (seed, epoch) orders the batches, and NumPy takes (seed, epoch, 0) for the same seed: the 1 makes these differ.
    rows = [np.random.default_rng((seed, epoch, position, 1)).random(num_draws) for position in index.tolist()]
    return torch.from_numpy(np.stack(rows))
