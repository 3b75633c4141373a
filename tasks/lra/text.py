"""Text: is a movie review positive? Read character by character, or byte by byte (Long Range Arena)."""

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from tasks.data.batches import TensorBatches
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.ragged import RaggedSequences
from tasks.data.splits import stratified_split
from tasks.data.tokens import Tokens, choose_encoder, count_characters, order_by_frequency, read_text
from tasks.errors import UserError
from tasks.lra.listops import widen_ids
from tasks.lra.published.imdb import CLASS_NAMES, read_imdb

FRACTIONS = (0.9, 0.1)
FEWEST_OCCURRENCES = 15
Protocol = Literal["held_out", "lra_paper"]


class Text(InMemoryDataModule):
    """The 50,000 labelled movie reviews of IMDB: 22,500 / 2,500 / 25,000. Other options as `InMemoryDataModule`.

    Args:
        root: Folder of all data sets.
        tokens: `characters` as S4: 0 padding, 1 unknown, 2 the end, which follows every review, then the characters
            that occur 15 times in the training split, by frequency. `bytes` as the Long Range Arena: 0 padding, byte
            b as b + 1, no end.
        max_length: Most ids of a review, the end included; 1,000 to 4,096.
        protocol: `held_out` validates on a tenth of the training reviews, both classes alike. `lra_paper` trains on all
            25,000 and chooses the epoch on the test split, as published numbers did; the result records it.
        batch_size: Samples a batch.
        bucket_by_length: Put reviews of like length into one batch, which leaves little padding.

    Raises:
        UserError: If an option is out of range, or the archive is missing or broken.
    """

    num_spatial_dims = 1
    in_channels = 1
    class_names = CLASS_NAMES

    def __init__(
        self,
        *,
        root: Path = Path("data"),
        tokens: Tokens = "characters",
        max_length: int = 4096,
        protocol: Protocol = "held_out",
        batch_size: int = 16,
        bucket_by_length: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, bucket_by_length=bucket_by_length, **options)
        for name, value, choices in (("tokens", tokens, get_args(Tokens)), ("protocol", protocol, get_args(Protocol))):
            if value not in choices:
                raise UserError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
        if max_length < 2:
            raise UserError(f"max_length must be at least 2, got {max_length}")
        self.root, self.tokens, self.size = Path(root), tokens, (max_length,)
        self.selected_on = "test" if protocol == "lra_paper" else "validation"

    def read_splits(self) -> dict[str, TensorBatches]:
        """Read, split and encode the reviews; positions of test reviews follow those of the training reviews."""
        reviews = read_imdb(self.root)
        texts = reviews["train"].texts + reviews["test"].texts
        labels = torch.tensor(reviews["train"].labels + reviews["test"].labels)
        num_train = len(reviews["train"].texts)
        rows = {"train": torch.arange(num_train), "test": torch.arange(num_train, len(texts))}
        if self.selected_on == "test":
            rows["val"] = rows["test"]
        else:
            rows["train"], rows["val"] = stratified_split(labels[:num_train], fractions=FRACTIONS, seed=self.split_seed)
        if self.tokens == "characters" and not self.learnt:
            counts = count_characters(texts[row] for row in rows["train"].tolist())
            self.learnt = {"characters": order_by_frequency(counts, min_count=FEWEST_OCCURRENCES)}
        encode, self.num_tokens = choose_encoder(self.tokens, self.learnt, max_length=self.size[0])
        sequences = RaggedSequences.join([torch.from_numpy(encode(text)) for text in texts])
        return {
            split: TensorBatches(
                x=sequences.select(rows[split]), y=labels[rows[split]], index=rows[split], transform=widen_ids
            )
            for split in SPLITS
        }

    def read_samples(self, path: Path) -> dict[str, Tensor]:
        """Read a new review: all of a text file in UTF-8."""
        encode, _ = choose_encoder(self.tokens, self.learnt, max_length=self.size[0])
        return {str(path): torch.from_numpy(encode(read_text(path))).long()}
