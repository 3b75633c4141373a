"""Random tokens of one length: nothing to learn, but the time and memory of a network at that length."""

from typing import Any

import torch

from tasks.data.batches import TensorBatches
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.ragged import RaggedSequences
from tasks.errors import check_at_least

NUM_EVALUATED = 10


class RandomTokens(InMemoryDataModule):
    """Draw tokens and classes uniformly, with lengths, as text has them.

    Other options are those of `InMemoryDataModule`.

    Args:
        length: Tokens of every sequence.
        num_train: Training sequences; validation and test have 10 each.
        num_tokens: Tokens to draw from, padding among them; 257 as for bytes.
        num_classes: Classes to draw from.
        batch_size: Sequences a batch.

    Raises:
        UserError: If an option is out of range.
    """

    num_spatial_dims, in_channels = 1, 1
    source = "generated"

    def __init__(
        self,
        *,
        length: int,
        num_train: int,
        num_tokens: int = 257,
        num_classes: int = 2,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, **options)
        check_at_least(1, length=length, num_train=num_train)
        check_at_least(2, num_tokens=num_tokens, num_classes=num_classes)
        self.size, self.num_train = (length,), num_train
        self.num_tokens: int = num_tokens
        self.class_names = tuple(map(str, range(num_classes)))

    def read_splits(self) -> dict[str, TensorBatches]:
        """Draw the sequences of all splits from one seed."""
        generator = torch.Generator().manual_seed(0)
        splits, begin = {}, 0
        for split, count in zip(SPLITS, (self.num_train, NUM_EVALUATED, NUM_EVALUATED), strict=True):
            lengths = torch.full((count,), self.size[0])
            # 0 is padding.
            x = torch.randint(1, self.num_tokens, (count * self.size[0],), generator=generator)
            y = torch.randint(len(self.class_names), (count,), generator=generator)
            index = torch.arange(begin, begin + count)
            splits[split] = TensorBatches(x=RaggedSequences(x, lengths), y=y, index=index)
            begin += count
        return splits
