"""Retrieval: does one paper cite the other? Pairs of documents, read by characters or bytes (Long Range Arena)."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from tasks.data.batches import Batch, TensorBatches
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.ragged import RaggedSequences
from tasks.data.tokens import PADDING, Tokens, choose_encoder, count_characters, order_by_frequency
from tasks.errors import UserError
from tasks.lra.published.aan import find_files, read_pairs
from tasks.lra.published.tables import read_rows


class Retrieval(InMemoryDataModule):
    """Pairs of papers of the ACL Anthology Network, 147,086 / 18,090 / 17,437; needs `TwoTowerHead`.

    A batch holds the first documents of all pairs, then the second ones. Other options are those of
    `InMemoryDataModule`.

    Args:
        root: Folder of all data sets.
        tokens: `characters` as S4: 0 padding, 1 unknown, 2 the end, which follows every document, then the characters
            of the training documents by frequency. `bytes` as the Long Range Arena: 0 padding, byte b as b + 1.
        max_length: Most ids of a document, the end included; 1,000 to 4,000.
        batch_size: Pairs a batch.
        bucket_by_length: Put pairs of like length into one batch, which leaves little padding.

    Raises:
        UserError: If an option is out of range, or a file is missing or broken.
    """

    num_spatial_dims = 1
    in_channels = 1
    class_names = ("unrelated", "related")

    def __init__(
        self,
        *,
        root: Path = Path("data"),
        tokens: Tokens = "characters",
        max_length: int = 4000,
        batch_size: int = 32,
        bucket_by_length: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, bucket_by_length=bucket_by_length, **options)
        if tokens not in get_args(Tokens):
            raise UserError(f"tokens must be one of {', '.join(get_args(Tokens))}, got {tokens!r}")
        if max_length < 2:
            raise UserError(f"max_length must be at least 2, got {max_length}")
        self.root, self.tokens, self.size = Path(root), tokens, (max_length,)

    def read_splits(self) -> dict[str, TensorBatches]:
        """Read and encode the pairs."""
        files, (max_length,) = find_files(self.root), self.size
        if self.tokens == "characters" and not self.learnt:
            # S4 learns the characters of what is left of a document after it is cut.
            counts = count_characters(
                text[: max_length - 1] for _, *pair in read_pairs(files["train"]) for text in pair
            )
            self.learnt = {"characters": order_by_frequency(counts)}
        encode, self.num_tokens = choose_encoder(self.tokens, self.learnt, max_length=max_length)
        splits, begin = {}, 0
        for split in SPLITS:
            labels, pairs = [], []
            for label, first, second in read_pairs(files[split]):
                labels.append(label)
                pairs.append(_stack(encode(first), encode(second)))
            index = torch.arange(begin, begin + len(labels))
            x = RaggedSequences.join(pairs)
            splits[split] = TensorBatches(x=x, y=torch.tensor(labels), index=index, transform=_split_pairs)
            begin += len(labels)
        return splits

    def read_samples(self, path: Path) -> dict[str, tuple[Tensor, ...]]:
        """Read new pairs: a line holds two documents with a tab between them; a quote is a character like any other."""
        encode, _ = choose_encoder(self.tokens, self.learnt, max_length=self.size[0])
        return {
            f"{path}:{number}": tuple(torch.from_numpy(encode(text)).long() for text in pair)
            for number, pair in read_rows(path, columns=2)
        }


def _stack(first: Any, second: Any) -> Tensor:
    """Make one tensor `(2, L)` of the ids of two documents; the shorter one is padded."""
    length = max(len(first), len(second))
    return torch.from_numpy(np.stack([np.pad(ids, (0, length - len(ids))) for ids in (first, second)]))


def _split_pairs(batch: Batch, epoch: int) -> Batch:
    """Turn pairs `(B, 2, L)` into the first documents and then the second ones, `(2 * B, L)`."""
    ids = batch["x"].transpose(0, 1).flatten(0, 1).long()
    # An empty document counts as one position of padding: lengths begin at 1.
    lengths = (ids != PADDING).sum(dim=1).clamp(min=1)
    return {**batch, "x": ids, "lengths": lengths}
