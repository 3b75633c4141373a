"""Random numbers that a resumed training repeats."""

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class EpochSeeding(Callback):
    """Seed each epoch by the seed of the run and the epoch alone.

    Dropout in epoch 7 is then the same whether the training came there in one go or was resumed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed torch; processes that train together drop out different things."""
        key = (self.seed, trainer.current_epoch, *([trainer.global_rank] if trainer.global_rank else []))
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
