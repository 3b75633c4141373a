"""From sequences of the user's own to batches: splits, targets, missing values and normalization."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tasks.data.batches import BatchOrder, TensorBatches, padding_share
from tasks.data.data_module import SPLITS, InMemoryDataModule
from tasks.data.ragged import RaggedSequences
from tasks.data.sequences.arrays import POSITIONS_AT_ONCE, Array, Sequences, describe_places, hash_contents
from tasks.data.splits import grouped_split, random_split, stratified_split
from tasks.errors import UserError

FRACTIONS = (0.7, 0.1, 0.2)
TargetKind = Literal["classes", "labels", "numbers"]
Normalization = Literal["channel", "sample", "none"]


class SequenceDataModule(InMemoryDataModule):
    """Sequences of equal or unequal length, with one or many channels; a subclass overrides `read`.

    Data without splits are cut into 70% training, 10% validation and 20% test: classes alike, groups whole, and equal
    sequences in one split. Where the data name a training and a test split alone, a part of the training split
    validates.

    Args:
        targets: `classes`; `labels`, several yes-or-no answers a sequence, `(N, K)` of 0 and 1, for `MultiLabelHead`;
            or `numbers`, `(N,)` or `(N, K)`, for `RegressionHead`.
        normalization: Subtract mean and divide by standard deviation: by `channel`, of the training split; by `sample`,
            of each channel of each sequence alone; or `none`. A constant channel becomes zero.
        missing: `refuse` NaN, or `indicate` them: a missing value becomes the mean, and each channel gets a second one
            that is 1 where its value is missing.
        validation: Share of the training split that validates, where the data name no validation split; 0 to 0.5.
            0 trains on all of it: no epoch is chosen, and the last weights are kept.
        batch_size: Sequences a batch.
        bucket_by_length: Put sequences of like length into one batch.

    Raises:
        UserError: If an option is out of range, or the data break a rule; the message names the sequence.
    """

    num_spatial_dims = 1

    def __init__(
        self,
        *,
        targets: TargetKind = "classes",
        normalization: Normalization = "channel",
        missing: Literal["refuse", "indicate"] = "refuse",
        validation: float = 0.1,
        batch_size: int = 16,
        bucket_by_length: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, bucket_by_length=bucket_by_length, **options)
        if not 0 <= validation <= 0.5:
            raise UserError(f"validation must lie in [0, 0.5], got {validation}")
        self.targets, self.normalization, self.missing, self.validation = targets, normalization, missing, validation
        self.plan: dict[str, str] = {}

    def read(self) -> Sequences:
        """Read all sequences, with their targets; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} must override read")

    def read_file(self, path: Path) -> Sequences:
        """Read new sequences from one file, for prediction; targets are not used. A subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} must override read_file")

    def read_splits(self) -> dict[str, TensorBatches]:
        """Read, split and normalize the sequences."""
        sequences = self.read()
        if sequences.y is None:
            raise UserError("the data must hold targets y to train on, got none")
        self._refuse_missing(sequences)
        y, names = encode_targets(sequences.y, kind=self.targets, class_names=self.learnt.get("class_names"))
        rows = self._split(sequences, y)
        if self.targets == "classes":
            self._check_classes(y, names, rows)
        if not self.learnt:
            train = sequences.x.select(rows["train"])
            self.learnt = {"class_names": list(names), "channels": train.values.shape[0], **_measure(train)}
        x = self._prepare(sequences.x, in_place=self.reads_anew)
        self.class_names, self.in_channels = tuple(names), x.values.shape[0]
        self.size = (int(x.lengths[rows["train"]].max()),)
        self.sample_names = sequences.names
        if len(rows.get("val", ())) == 0:
            self.selected_on = "last"
        self.plan = self._describe(sequences, y, rows)
        return {
            split: TensorBatches(x=x.select(index), y=y[index], index=index)
            for split, index in rows.items()
            if len(index)
        }

    def read_samples(self, path: Path) -> dict[str, Tensor]:
        """Read new samples from one file, normalized as those of the training; one `(C, L)` each, by name."""
        sequences = self.read_file(path)
        x = self.prepare_new(sequences)
        alone = len(sequences) == 1 and sequences.names == ("0",)
        return {str(path) if alone else f"{path}:{name}": each for name, each in zip(sequences.names, x, strict=True)}

    def prepare_new(self, sequences: Sequences) -> RaggedSequences:
        """Normalize new sequences as those of the training."""
        self._refuse_missing(sequences)
        return self._prepare(sequences.x)

    def describe(self) -> dict[str, str]:
        """Return what the plan shows of the data."""
        return self.plan

    def _refuse_missing(self, sequences: Sequences) -> None:
        missing = sequences.x.values.isnan()
        if self.missing == "refuse" and missing.any():
            raise UserError(
                f"x must hold no missing value with missing: refuse, got {describe_places(sequences, missing)}; "
                "missing: indicate fills them"
            )

    def _prepare(self, x: RaggedSequences, *, in_place: bool = False) -> RaggedSequences:
        if x.values.shape[0] != self.learnt["channels"]:
            raise UserError(f"x must have {self.learnt['channels']} channels, as in training, got {x.values.shape[0]}")
        values = x.values if in_place or self.normalization == "none" else torch.empty_like(x.values)
        if self.normalization == "channel":
            mean, std = (torch.tensor(self.learnt[name], dtype=torch.float64)[:, None] for name in ("mean", "std"))
            for part, given in zip(
                *(each.split(POSITIONS_AT_ONCE, dim=-1) for each in (values, x.values)), strict=True
            ):
                part.copy_((given - mean) / std)
        elif self.normalization == "sample":
            for part, given in zip(RaggedSequences(values, x.lengths), x, strict=True):
                part.copy_(_standardize(given))
        if self.missing == "indicate":
            missing = values.isnan()
            values = torch.cat([values.masked_fill(missing, 0.0), missing.float()])
        return RaggedSequences(values, x.lengths)

    def _split(self, sequences: Sequences, y: Tensor) -> dict[str, Tensor]:
        """Return the rows of each split; a group, and sequences of equal values, stay together."""
        contents = hash_contents(sequences.x)
        labels = y if self.targets == "classes" else torch.zeros(len(y), dtype=torch.int64)
        if sequences.split is None:
            groups = _join_groups(contents, sequences.group or sequences.names)
            parts = self._cut(labels, groups, fractions=FRACTIONS)
            return dict(zip(SPLITS, parts, strict=True))
        names = np.array(sequences.split)
        rows = {split: torch.from_numpy(np.flatnonzero(names == split)) for split in SPLITS}
        for split in ("train", "test") if self.needs_test_split else ("train",):
            if not len(rows[split]):
                raise UserError(f"split must name sequences for {split}, got none")
        self._check_shared(sequences, contents)
        if not len(rows["val"]) and self.validation:
            train = rows["train"]
            chosen = [(sequences.group or sequences.names)[row] for row in train]
            groups = _join_groups([contents[row] for row in train], chosen)
            kept, held = self._cut(labels[train], groups, fractions=(1 - self.validation, self.validation))
            rows["train"], rows["val"] = train[kept], train[held]
        return rows

    def _cut(self, labels: Tensor, groups: Sequence[int], *, fractions: Sequence[float]) -> list[Tensor]:
        if len(set(groups)) < len(groups):
            return grouped_split(labels, groups, fractions=fractions, seed=self.split_seed)
        cut = stratified_split if self.targets == "classes" else None
        if cut is None:
            return random_split(len(labels), fractions=fractions, seed=self.split_seed)
        try:
            return cut(labels, fractions=fractions, seed=self.split_seed)
        except ValueError as error:
            remedy = "give the data splits of their own (split), and validation: 0 if classes are that small"
            raise UserError(f"y must have enough samples of each class: {error}; {remedy}") from error

    def _check_shared(self, sequences: Sequences, contents: Sequence[str]) -> None:
        """Count equal sequences in two splits where the splits are published; refuse them otherwise."""
        self.shared: list[tuple[str, str]] = []
        first: dict[str, int] = {}
        assert sequences.split is not None
        for row, content in enumerate(contents):
            other = first.setdefault(content, row)
            if sequences.split[other] != sequences.split[row]:
                self.shared.append((sequences.names[other], sequences.names[row]))
        for group in sorted(set(sequences.group or ())):
            pairs = zip(sequences.group or (), sequences.split, strict=True)
            if len(found := {split for each, split in pairs if each == group}) > 1:
                raise UserError(f"group must lie in one split, got {group!r} in {' and '.join(sorted(found))}")
        if self.shared and not self.splits_are_published:
            one, other_name = self.shared[0]
            raise UserError(
                f"a sequence must lie in one split, got equal values in {one!r} and {other_name!r} "
                f"({len(self.shared)} such pairs)"
            )

    reads_anew = False
    """Whether each call of `read` returns sequences that nobody else holds: they are then normalized in place."""

    splits_are_published = False
    """Whether others made the splits: equal sequences in two splits are then counted, not refused."""

    needs_test_split = True
    """Whether data with named splits must name a test split."""

    def _check_classes(self, y: Tensor, names: Sequence[str], rows: dict[str, Tensor]) -> None:
        if len(names) < 2:
            raise UserError(f"y must hold at least 2 classes, got {len(names)} ({names[0]!r})")
        trained = set(y[rows["train"]].tolist())
        for split, index in rows.items():
            if others := sorted(set(y[index].tolist()) - trained):
                raise UserError(f"the training split must hold every class, got {names[others[0]]!r} in {split} alone")

    def _describe(self, sequences: Sequences, y: Tensor, rows: dict[str, Tensor]) -> dict[str, str]:
        lengths = sequences.x.lengths
        shortest, median, longest = (int(value) for value in (lengths.min(), lengths.median(), lengths.max()))
        equal = shortest == longest
        described = {"lengths": f"{longest:,} each" if equal else f"{shortest:,} to {longest:,}, median {median:,}"}
        if self.targets == "classes":
            counts = Counter(y[rows["train"]].tolist())
            most, fewest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
            extremes = " to ".join(f"{counts[each]} ({self.class_names[each]})" for each in (fewest, most))
            alike = counts[fewest] == counts[most]
            described["balance"] = f"{counts[most] if alike else extremes} a class in training"
        if not equal:
            train = lengths[rows["train"]]
            order = BatchOrder(
                len(train), batch_size=self.batch_size, seed=self.seed, lengths=train if self.bucket_by_length else None
            )
            described["padding"] = f"{100 * padding_share(order, train):.1f}% of a training epoch"
        # A sum of truths makes integers of all.
        if missing := sum(int(part.isnan().sum()) for part in sequences.x.values.split(POSITIONS_AT_ONCE, dim=-1)):
            described["missing"] = f"{missing:,} values"
        if getattr(self, "shared", None):
            described["duplicates"] = f"{len(self.shared)} sequences lie in two splits"
        return described


def encode_targets(
    y: Array, *, kind: TargetKind, class_names: Sequence[str] | None = None
) -> tuple[Tensor, Sequence[str]]:
    """Turn targets into tensors: classes `(N,)` of `int64`, labels or numbers `(N, K)` of `float32`, with their names.

    Classes are sorted by number where all are whole numbers, else by text. `class_names` are those of the training.

    Raises:
        UserError: If the targets are of another kind; the message names the option.
    """
    if kind == "classes":
        if y.ndim != 1:
            raise UserError(f"y must be (N,) with targets: classes, got {y.shape}; several a sequence are labels")
        if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.round(y))).all():
            wrong = y[~(np.isfinite(y) & (y == np.round(y)))][0]
            raise UserError(f"y must be classes with targets: classes, got {wrong}; real numbers want targets: numbers")
        texts = [str(int(value)) if y.dtype.kind in "fiub" else str(value) for value in y]
        if blank := [row for row, text in enumerate(texts) if not text.strip()]:
            raise UserError(f"y must name a class for each sequence, got an empty text at sequence {blank[0]}")
        names = list(class_names or sorted(set(texts), key=_number_or_text))
        if others := sorted(set(texts) - set(names)):
            raise UserError(f"y must hold classes of the training, {', '.join(names[:10])}, got {others[0]!r}")
        place = {name: number for number, name in enumerate(names)}
        return torch.tensor([place[text] for text in texts]), names
    if y.dtype.kind in "US":
        if texts := [text for text in map(str, y.flat) if not _is_number(text)]:
            raise UserError(f"y must hold numbers with targets: {kind}, got {texts[0]!r}")
        y = y.astype(np.float64)
    columns = torch.from_numpy(np.array(y, dtype=np.float32).reshape(len(y), -1))
    if not columns.isfinite().all():
        raise UserError(f"y must be finite, got {columns[~columns.isfinite()][0].item()}")
    if kind == "labels" and not ((columns == 0) | (columns == 1)).all():
        wrong = columns[(columns != 0) & (columns != 1)][0].item()
        raise UserError(f"y must hold 0 and 1 with targets: labels, got {wrong:g}")
    kind_name = "label" if kind == "labels" else "target"
    return columns, class_names or [f"{kind_name}_{number}" for number in range(1, columns.shape[1] + 1)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number_or_text(text: str) -> tuple[bool, float, str]:
    whole = text.lstrip("-").isdecimal()
    return not whole, int(text) if whole else 0, text


def _measure(x: RaggedSequences) -> dict[str, list[float]]:
    """Compute mean and standard deviation of each channel over all values that are there, in float64."""
    count = x.values.new_zeros(len(x.values), 1, dtype=torch.float64)
    total, squares = count.clone(), count.clone()
    for part in _parts(x):
        count += (~part.isnan()).sum(dim=-1, keepdim=True)
        total += part.double().nansum(dim=-1, keepdim=True)
    mean = (total / count).nan_to_num()
    for part in _parts(x):
        squares += (part.double() - mean).square().nansum(dim=-1, keepdim=True)
    std = (squares / count).squeeze(-1).sqrt().nan_to_num()
    return {"mean": mean.squeeze(-1).tolist(), "std": torch.where(std > 0, std, 1.0).tolist()}


def _parts(x: RaggedSequences) -> Iterator[Tensor]:
    """Yield all values, some positions at a time; short sequences lie in one part."""
    waiting: list[Tensor] = []
    positions = 0
    for each in x:
        for part in each.split(POSITIONS_AT_ONCE, dim=-1):
            if waiting and positions + part.shape[-1] > POSITIONS_AT_ONCE:
                yield torch.cat(waiting, dim=-1)
                waiting, positions = [], 0
            waiting.append(part)
            positions += part.shape[-1]
    if waiting:
        yield torch.cat(waiting, dim=-1)


def _standardize(x: Tensor) -> Tensor:
    statistics = _measure(RaggedSequences(x, torch.tensor([x.shape[-1]])))
    mean, std = (torch.tensor(statistics[name], dtype=torch.float64)[:, None] for name in ("mean", "std"))
    return ((x - mean) / std).float()


def _join_groups(contents: Sequence[str], groups: Sequence[str]) -> list[int]:
    """Return a number for each group; groups that hold an equal sequence have one number."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def find(key: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for content, group in zip(contents, groups, strict=True):
        parent[find(("content", content))] = find(("group", group))
    numbers: dict[tuple[str, str], int] = {}
    return [numbers.setdefault(find(("group", group)), len(numbers)) for group in groups]
