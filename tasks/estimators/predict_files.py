"""Predictions for new files: samples without labels in, names of samples and classes out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import torch
from torch import Tensor
from torch.nn.functional import pad

from tasks.errors import UserError
from tasks.estimators.run import Run, Sample
from tasks.training.prediction_table import Columns, name_columns

UNREADABLE = (OSError, ValueError, EOFError, UnpicklingError, BadZipFile)
"""What reading a file raises where the file is the reason."""


def predict_files(
    run: Run, files: Sequence[Path], *, report: Callable[[Path, Exception], None], topk: int = 1
) -> Columns:
    """Predict every sample of the files that can be read.

    Args:
        run: The run.
        files: Files that the data module of the run can read.
        report: Called with each file that cannot be read, and the reason.
        topk: Classes to name for each sample, the most probable first; further ones in columns `predicted_2`,
            `probability_2` and so on.

    Returns:
        One list a column, one entry a sample: `name`, and the columns of the head. The columns are empty if no file
        could be read.

    Raises:
        UserError: If `topk` is out of range, or above 1 where the head has no probabilities.
    """
    columns: Columns = {}
    for file in files:
        try:
            samples = run.read_samples(file)
        except UNREADABLE as error:
            report(file, error)
            continue
        for name, values in predict_samples(run, samples, topk=topk).items():
            columns.setdefault(name, []).extend(values)
    return columns


def predict_samples(run: Run, samples: Mapping[str, Sample], *, topk: int = 1) -> Columns:
    """Predict samples by name, in batches as large as in the training; `topk` and columns as of `predict_files`.

    Raises:
        UserError: As `predict_files`, or if images of several sizes are in one batch.
    """
    outputs = []
    for batch in _batches(list(samples.values()), run.preprocessing.batch_size):
        x, lengths = stack_samples(_rows(batch))
        outputs.append(run.compute_outputs(x, lengths))
    joined = torch.cat(outputs).double()
    predicted = run.model.head.predictions(joined)
    columns = {"name": list(samples), **name_columns(predicted, class_names=run.class_names)}
    if topk > 1 and "probability" not in predicted:
        raise UserError(f"topk must be 1 with {type(run.model.head).__name__}, which has no probabilities, got {topk}")
    if not 1 <= topk <= len(run.class_names):
        raise UserError(f"topk must lie in 1..{len(run.class_names)}, the number of classes, got {topk}")
    if topk > 1:
        probabilities, places = joined.softmax(dim=1).topk(topk, dim=1)
        for rank in range(1, topk):
            ranked = {"predicted": places[:, rank], "probability": probabilities[:, rank]}
            named = name_columns(ranked, class_names=run.class_names)
            columns |= {f"{name}_{rank + 1}": values for name, values in named.items()}
    return columns


def stack_samples(samples: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Stack samples `(C, *S)`, or ids `(L,)`; shorter sequences are padded with zeros at the end.

    Return the batch and its lengths `(B,)`, or `None` where all positions are filled.

    Raises:
        UserError: If samples differ in more than the length of a sequence.

    Example:
        >>> x, lengths = stack_samples([torch.ones(2, 3), torch.ones(2, 5)])
        >>> x.shape, lengths
        (torch.Size([2, 2, 5]), tensor([3, 5]))
    """
    shapes = {tuple(sample.shape) for sample in samples}
    if len(shapes) == 1:
        return torch.stack(list(samples)), None
    if any(len(shape) > 2 for shape in shapes) or len({shape[:-1] for shape in shapes}) > 1:
        raise UserError(f"samples must differ in the length of sequences alone, got the shapes {sorted(shapes)}")
    lengths = torch.tensor([sample.shape[-1] for sample in samples])
    longest = int(lengths.max())
    return torch.stack([pad(sample, (0, longest - sample.shape[-1])) for sample in samples]), lengths


def _rows(batch: Sequence[Sample]) -> list[Tensor]:
    """Put the samples of a batch below each other; of pairs first all first ones, then all second ones."""
    return list(chain.from_iterable(zip(*(x if isinstance(x, tuple) else (x,) for x in batch), strict=True)))


def _batches(samples: list[Sample], size: int) -> Iterator[list[Sample]]:
    remaining = iter(samples)
    while batch := list(islice(remaining, size)):
        yield batch
