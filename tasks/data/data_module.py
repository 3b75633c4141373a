"""What a data module must provide: a base class for data in memory, and the check of any data module."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities.model_helpers import is_overridden
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import DataLoader

from tasks.data.batches import Batch, TensorBatches, batch_loader, check_batch_size
from tasks.errors import UserError, check_seed

SPLITS = ("train", "val", "test")

REQUIRED = {
    "num_classes": "the number of classes, or of real targets",
    "class_names": "the name of each class",
    "num_spatial_dims": "the number of axes that follow the channels: 1 for sequences, 2 for images",
    "in_channels": "the channels of x",
    "size": "the extent of each of these axes, such as (1024,) or (32, 32)",
    "split_sizes": "the samples of each split, such as {'train': 800, 'val': 100, 'test': 100}",
    "batch_size": "the samples of a batch",
}
"""Attributes that a data module must have."""

OPTIONAL = {
    "sample_names": None,
    "selected_on": "validation",
    "num_tokens": None,
    "sample_rate": None,
    "split_seed": None,
    "source": None,
}
"""Attributes that a data module may lack, and the values that they then have."""


class InMemoryDataModule(LightningDataModule):
    """Base of the data modules whose samples lie in memory.

    A subclass sets the attributes without a value below, on the class or in its constructor, and overrides
    `read_splits`. Its constructor passes the other options on: `def __init__(self, ..., **options: Any)` and
    `super().__init__(**options)`; the command and its help then know them.

    Args:
        batch_size: Samples a batch.
        split_seed: Seed of the split; the seed of the training does not change the split.
        seed: Seed of the order and the augmentation of the training batches; the command links it to
            `seed_everything`.
        num_workers: Processes that load; 0 is fastest for data in memory without augmentation.
        bucket_by_length: Put sequences of like length into one batch, which leaves little padding; the order of the
            training batches is fixed by seed and epoch.

    Raises:
        UserError: If the batch size is below 1, the number of workers below 0, or a seed not in 0 to 2**32 - 1.
    """

    num_spatial_dims: int
    """Axes that follow the channels: 1 for sequences, 2 for images."""
    in_channels: int
    """Channels of x; 1 where x holds ids."""
    size: tuple[int, ...]
    """Extent of each axis in training; batches may be shorter or longer."""
    class_names: tuple[str, ...]
    """One name a class, or a real target."""
    num_tokens: int | None = None
    """Number of ids where x holds ids, otherwise `None`."""
    sample_rate: int | None = None
    """Samples a second where x holds waveforms, otherwise `None`."""
    sample_names: Sequence[str] | None = None
    """One name a sample of the whole data set, such as its file, or `None`."""
    source: str | None = None
    """`generated` where the samples are drawn by this project instead of published ones; stands in every result."""
    selected_on: Literal["validation", "test", "last"] = "validation"
    """Split that the epoch of the best weights is chosen on; `test` stands in every result. `last` chooses no epoch and
    keeps the last weights: there is no validation split then."""

    def __init__(
        self,
        *,
        batch_size: int,
        split_seed: int = 42,
        seed: int = 0,
        num_workers: int = 0,
        bucket_by_length: bool = False,
    ) -> None:
        super().__init__()
        if num_workers < 0:
            raise UserError(f"num_workers must be at least 0, got {num_workers}")
        check_seed(split_seed=split_seed, seed=seed)
        self.batch_size, self.num_workers = check_batch_size(batch_size), num_workers
        self.split_seed, self.seed, self.bucket_by_length = split_seed, seed, bucket_by_length
        self.splits: dict[str, TensorBatches] = {}
        self.learnt: dict[str, Any] = {}

    def read_splits(self) -> dict[str, TensorBatches]:
        """Read the data, and split them into `train`, `val` and `test`; a subclass overrides this.

        What is learnt from the training split (statistics, a vocabulary) is put into the dictionary `self.learnt` as
        numbers, texts and lists, unless `self.learnt` holds it already: checkpoints carry it, and a test of a
        checkpoint uses it.
        """
        raise NotImplementedError(f"{type(self).__name__} must override read_splits")

    def setup(self, stage: str | None = None) -> None:
        """Read all splits, once; `stage` is unused."""
        if not hasattr(self, "splits"):
            raise UserError(f"{type(self).__name__}.__init__ must call super().__init__(**options), got no such call")
        if not self.splits:
            self.splits = self._read_checked_splits()

    def _read_checked_splits(self) -> dict[str, TensorBatches]:
        splits = self.read_splits()
        if not isinstance(splits, dict):
            raise UserError(f"read_splits must return a dict of train, val and test, got {type(splits).__name__}")
        for name, split in splits.items():
            if not isinstance(split, TensorBatches):
                found = type(split).__name__
                raise UserError(f"read_splits must return TensorBatches for each split, got {found} for {name}")
            split.check()
        return splits

    def state_dict(self) -> dict[str, Any]:
        """Return what was learnt from the training split; Lightning writes it into checkpoints."""
        return dict(self.learnt)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Use what another training split taught, before `setup` or after: the splits are then read again."""
        if state_dict != self.learnt:
            self.learnt = dict(state_dict)
            if self.splits:
                self.splits = self._read_checked_splits()

    @property
    def num_classes(self) -> int:
        """The number of class names."""
        return len(self.class_names)

    @property
    def split_sizes(self) -> dict[str, int]:
        """The samples of each split; empty before `setup`."""
        return {name: len(self.splits.get(name, ())) for name in SPLITS} if self.splits else {}

    def count_classes(self) -> Tensor:
        """Count the training samples of each class, `(num_classes,)`; after `setup`, where targets are classes."""
        return self.splits["train"].y.bincount(minlength=self.num_classes)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Load the training split in a new order each epoch."""
        return self._load("train", seed=self.seed)

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Load the validation split in the order of the data, or of the lengths; `[]` where there is none."""
        return self._load("val") if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """Load the test split in the order of the data, or of the lengths."""
        return self._load("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Load the test split in the order of the data, or of the lengths."""
        return self._load("test")

    def _load(self, split: str, *, seed: int | None = None) -> DataLoader[Batch]:
        return batch_loader(
            self.splits[split],
            batch_size=self.batch_size,
            seed=seed,
            num_workers=self.num_workers,
            bucket_by_length=self.bucket_by_length,
        )


def check_data_module(data: LightningDataModule, *, splits: Sequence[str] = SPLITS) -> None:
    """Check what the command reads of a data module: attributes, loaders and one batch of each split.

    Of data in memory all targets and positions are looked at. Optional attributes that are missing get their values of
    `OPTIONAL`. No global random numbers are drawn.

    Args:
        data: A data module that is set up for these splits.
        splits: Splits that are looked at; with none, only the attributes that are known before `setup` are checked.

    Raises:
        UserError: If anything is missing or wrong; one message names all of it.
    """
    for name, value in OPTIONAL.items():
        if not hasattr(data, name):
            setattr(data, name, value)
    if getattr(data, "selected_on", None) == "last":
        splits = [split for split in splits if split != "val"]
    wrong = [f"{name} is missing: {meaning}" for name, meaning in REQUIRED.items() if not hasattr(data, name)]
    wrong += [f"{name} must be {rule}, got {getattr(data, name)!r}" for name, rule in _broken_rules(data, splits)]
    found: dict[str, list[str]] = {}
    try:
        with isolate_rng():
            for split in splits:
                for fault in _find_loader_faults(data, split):
                    found.setdefault(fault, []).append(split)
    except Exception:
        # A wrong attribute can be the reason; then its fault tells more.
        if not wrong:
            raise
    wrong += [f"{' and '.join(names)}: {fault}" for fault, names in found.items()]
    wrong += [
        f"state_dict, what was learnt, must hold numbers, texts, lists, dicts and tensors, got {kind} for {name}"
        for name, kind in _find_unplain(data.state_dict())
    ]
    if wrong:
        raise UserError(f"{type(data).__name__} is no data module that can be trained on: {'; '.join(wrong)}")


def describe_longer(data: Any) -> str | None:
    """Count the sequences in memory that are longer than the training size; `None` where there are none.

    Sequences that a transform may cut are not counted.
    """
    counts, longest = [], 0
    for split, samples in getattr(data, "splits", {}).items():
        lengths = samples.lengths if samples.transform is None else None
        if lengths is not None and (longer := int((lengths > data.size[0]).sum())):
            counts.append(f"{longer:,} of {len(lengths):,} {split}")
            longest = max(longest, int(lengths.max()))
    return f"{', '.join(counts)}: up to {longest:,} positions, trained for {data.size[0]:,}" if counts else None


def _broken_rules(data: LightningDataModule, splits: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the rule of each attribute that is there and breaks its rule."""
    value = {name: getattr(data, name) for name in (*REQUIRED, *OPTIONAL) if hasattr(data, name)}
    for name in ("num_classes", "num_spatial_dims", "in_channels", "batch_size"):
        if name in value and not _is_positive(value[name]):
            yield name, "a positive integer"
    if "class_names" in value and not _are_names(value["class_names"], value.get("num_classes")):
        yield "class_names", f"{value.get('num_classes', 'as many')} texts, one for each of num_classes"
    axes = value.get("num_spatial_dims")
    if "size" in value and not (
        isinstance(value["size"], tuple)
        and all(map(_is_positive, value["size"]))
        and (len(value["size"]) == axes or not _is_positive(axes))
    ):
        yield "size", f"a tuple of {axes} positive integers, one for each of num_spatial_dims"
    sizes = value.get("split_sizes", dict.fromkeys(splits, 1))
    if not isinstance(sizes, dict) or not all(_is_positive(sizes.get(split)) for split in splits):
        yield "split_sizes", f"a dict that counts the samples of {', '.join(splits)}"
    if value["selected_on"] not in ("validation", "test", "last"):
        yield "selected_on", "'validation', 'test' or 'last'"
    for name in ("num_tokens", "sample_rate"):
        if value[name] is not None and not _is_positive(value[name]):
            yield name, "None or a positive integer"
    if value["split_seed"] is not None and not isinstance(value["split_seed"], int):
        yield "split_seed", "None or an integer"
    if value["sample_names"] is not None and not _are_names(value["sample_names"], None):
        yield "sample_names", "None or one text a sample"


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_names(value: object, count: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(name, str) for name in value):
        return False
    return not _is_positive(count) or len(value) == count


def _find_loader_faults(data: LightningDataModule, split: str) -> list[str]:
    name = f"{split}_dataloader"
    if not is_overridden(name, data, LightningDataModule):
        return [f"{name} is missing"]
    loader = getattr(data, name)()
    if loader is None or isinstance(loader, list | tuple | dict):
        return [f"{name} must return one loader, got {type(loader).__name__}"]
    batch = next(iter(loader), None)
    if batch is None:
        return [f"{name} must yield at least one batch, got none"]
    if not isinstance(batch, dict):
        return [f"a batch must be a dict with x, y and index, got {type(batch).__name__}"]
    if missing := [key for key in ("x", "y", "index") if key not in batch]:
        return [f"a batch must hold x, y and index, got one without {' and '.join(missing)}"]
    tensors = {key: batch[key] for key in ("x", "y", "index", "lengths") if key in batch}
    if others := {key: value for key, value in tensors.items() if not isinstance(value, Tensor)}:
        return [f"{key} must be a tensor, got {type(value).__name__}" for key, value in others.items()]
    faults = list(_find_batch_faults(data, **tensors))
    if not faults and isinstance(loader.dataset, TensorBatches):
        faults += _find_target_faults(data, loader.dataset.y, loader.dataset.index)
    return faults


def _find_unplain(state: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the type of each value that a checkpoint of plain values cannot hold."""
    for name, value in state.items():
        inner = dict(enumerate(value)) if type(value) in (list, tuple) else value
        if isinstance(inner, dict):
            yield from _find_unplain(inner, f"{prefix}{name}.")
        elif type(value) not in (int, float, str, bool, type(None), Tensor):
            yield f"{prefix}{name}", type(value).__name__


def _find_batch_faults(
    data: LightningDataModule, *, x: Tensor, y: Tensor, index: Tensor, lengths: Tensor | None = None
) -> Iterator[str]:
    """Yield what is wrong with the tensors of a batch; rules that need a wrong or missing attribute are left out."""
    num_tokens, in_channels, axes = (
        value if _is_positive(value := getattr(data, name, None)) else None
        for name in ("num_tokens", "in_channels", "num_spatial_dims")
    )
    if num_tokens:
        if x.dtype != torch.int64 or x.ndim != 2:
            yield f"x must be ids (B, L) of int64, got {_describe(x)}"
        elif fault := _describe_range(x, 0, num_tokens - 1):
            yield f"x must hold ids from 0 to {num_tokens - 1} (num_tokens = {num_tokens}), got {fault}"
    elif in_channels and axes:
        extents = [f"S{axis + 1}" for axis in range(axes)] if axes > 1 else ["L"]
        if x.dtype != torch.float32 or x.ndim != 2 + axes or x.shape[1] != in_channels:
            yield f"x must be (B, {', '.join([str(in_channels), *extents])}) of float32, got {_describe(x)}"
    count = len(y) if y.ndim else 0
    # Pairs of sequences, such as two texts to compare, lie in one x: first all first ones, then all second ones.
    if not x.ndim or len(x) not in (count, 2 * count):
        yield f"x must hold one sample, or a pair, for each y, got {_describe(x)} for y {_describe(y)}"
    yield from _find_target_faults(data, y, index)
    if lengths is not None and x.ndim:
        if lengths.dtype != torch.int64 or lengths.shape != (len(x),) or x.ndim != (2 if num_tokens else 3):
            yield f"lengths must be (B,) of int64 and x be sequences, got {_describe(lengths)} for x {_describe(x)}"
        elif fault := _describe_range(lengths, 1, x.shape[-1]):
            yield f"lengths must be from 1 to the {x.shape[-1]} positions of x, got {fault}"


def _find_target_faults(data: LightningDataModule, y: Tensor, index: Tensor) -> Iterator[str]:
    """Yield what is wrong with the targets and positions of a batch, or of a whole split."""
    num_classes = value if _is_positive(value := getattr(data, "num_classes", None)) else None
    count = len(y) if y.ndim else 0
    if y.is_floating_point():
        if y.dtype != torch.float32 or (num_classes and tuple(y.shape[1:]) not in ((), (num_classes,))):
            yield f"y must be (B,) or (B, {num_classes}) of float32 where targets are real, got {_describe(y)}"
        elif not y.isfinite().all():
            yield "y must be finite, got NaN or infinity"
    elif y.dtype != torch.int64 or y.ndim != 1:
        yield f"y must be classes (B,) of int64, or real targets of float32, got {_describe(y)}"
    elif num_classes and (fault := _describe_range(y, 0, num_classes - 1)):
        yield f"y must hold classes from 0 to {num_classes - 1} (num_classes = {num_classes}), got {fault}"
    if index.dtype != torch.int64 or index.shape != (count,):
        yield f"index must be (B,) of int64, the position of each sample in the whole data set, got {_describe(index)}"
    elif len(index.unique()) < count:
        yield "index must name each sample once, got one twice"
    elif (names := getattr(data, "sample_names", None)) is not None and (
        fault := _describe_range(index, 0, len(names) - 1)
    ):
        yield f"sample_names must hold a name for each index, got {len(names)} names and an index {fault}"


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _describe_range(tensor: Tensor, low: int, high: int) -> str | None:
    """Return the range of the values, or `None` if it lies within the bounds."""
    if not tensor.numel() or (tensor.min() >= low and tensor.max() <= high):
        return None
    return f"from {int(tensor.min())} to {int(tensor.max())}"
