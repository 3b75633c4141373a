"""Predictions for new files: samples without labels in, names of samples and classes out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import torch
from torch import Tensor
from torch.nn.functional import pad

from tasks.errors import UserError
from tasks.estimators.run import Run
from tasks.training.prediction_table import Columns, name_columns

UNREADABLE = (OSError, ValueError, EOFError, UnpicklingError, BadZipFile)
"""What reading a file raises where the file is the reason."""


def predict_files(run: Run, files: Sequence[Path], *, report: Callable[[Path, Exception], None]) -> Columns:
    """Predict every sample of the files that can be read.

    Args:
        run: The run.
        files: Files that the data module of the run can read.
        report: Called with each file that cannot be read, and the reason.

    Returns:
        One list a column, one entry a sample: `name`, and the columns of the head. The columns are empty if no file
        could be read.
    """
    columns: Columns = {}
    for file in files:
        try:
            samples = run.read_samples(file)
        except UNREADABLE as error:
            report(file, error)
            continue
        for name, values in predict_samples(run, samples).items():
            columns.setdefault(name, []).extend(values)
    return columns


def predict_samples(run: Run, samples: Mapping[str, Tensor]) -> Columns:
    """Predict samples by name, in batches as large as in the training; columns as of `predict_files`.

    Raises:
        UserError: If images of several sizes are in one batch.
    """
    outputs = []
    for batch in _batches(list(samples.values()), run.preprocessing.batch_size):
        x, lengths = stack_samples(batch)
        outputs.append(run.compute_outputs(x, lengths))
    predicted = run.model.head.predictions(torch.cat(outputs).double())
    return {"name": list(samples), **name_columns(predicted, class_names=run.class_names)}


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


def _batches(samples: list[Tensor], size: int) -> Iterator[list[Tensor]]:
    remaining = iter(samples)
    while batch := list(islice(remaining, size)):
        yield batch
