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
from tasks.learning.backbone import ShortensSequences, check_takes_rate
from tasks.learning.rejection import names_one_class
from tasks.runs.run_folder import RunFolder
from tasks.training.prediction_table import Columns, name_columns

UNREADABLE = (OSError, ValueError, EOFError, UnpicklingError, BadZipFile)
"""What reading a file raises where the file is the reason."""


NONE = "(none)"
"""What stands for a class where the most probable one is rejected."""


def predict_files(
    run: Run,
    files: Sequence[Path],
    *,
    report: Callable[[Path, Exception], None],
    topk: int = 1,
    reject_below: float | None = None,
    native_rate: bool = False,
) -> Columns:
    """Predict every sample of the files that can be read.

    Args:
        run: The run.
        files: Files that the data module of the run can read, and folders if it finds files in them.
        report: Called with each file that cannot be read, and the reason.
        topk: Classes to name for each sample, the most probable first; further ones in columns `predicted_2`,
            `probability_2` and so on.
        reject_below: Name no class, but `(none)`, where the probability of the most probable one is lower; `None` to
            name one always.
        native_rate: Of audio: give the network the samples of a file as they are, and their rate; otherwise a file is
            resampled to the rate of the training.

    Returns:
        One list a column, one entry a sample: `name`, and the columns of the head. The columns are empty if no file
        could be read.

    Raises:
        UserError: If `topk` or `reject_below` are out of range, or given where the head names no single class with its
            probability. If the network or the data module of the run takes no rate.
    """
    if native_rate:
        check_native_rate(run)
    columns: Columns = {}
    for file in find_files(run, files, report=report):
        try:
            samples, rate = run.read_native_samples(file) if native_rate else (run.read_samples(file), 1.0)
            if native_rate and isinstance(run.model.backbone, ShortensSequences):
                # Not every rate may fit the strides of a stem.
                run.model.backbone.output_lengths(torch.ones(1, dtype=torch.int64), rate=rate)  # type: ignore[call-arg]
        except UNREADABLE as error:
            report(file, error)
            continue
        answers = predict_samples(run, samples, topk=topk, reject_below=reject_below, rate=rate)
        for name, values in answers.items():
            columns.setdefault(name, []).extend(values)
    return columns


def check_native_rate(run: Run) -> None:
    """Check that the files of a run can be answered at their own rate.

    Raises:
        UserError: If the network takes no rate, or the data module reads no files at their own.
    """
    if not hasattr(run.preprocessing, "read_native_samples"):
        raise UserError(f"native_rate must be left out with {type(run.preprocessing).__name__}, which is no audio")
    check_takes_rate(run.model.backbone, name="native_rate")


def find_files(run: Run, paths: Sequence[Path], *, report: Callable[[Path, Exception], None]) -> Iterator[Path]:
    """Yield the files among these paths, and those in the folders, if the data module has a method `find_files`.

    A folder without a file is reported.
    """
    find = getattr(run.preprocessing, "find_files", None)
    for path in paths:
        if find is None or not path.is_dir():
            yield path
            continue
        found = find(path)
        if not found:
            report(path, UserError("the folder holds no file that can be read"))
        yield from found


def choose_rejection(run: Run, given: str | None) -> float | None:
    """Return the threshold of `reject_below` for a word of the command: a number, or `auto` for that of the run.

    Raises:
        UserError: If the word is neither, or the results of the run hold no threshold.
    """
    if given is None:
        return None
    if given != "auto":
        try:
            return float(given)
        except ValueError:
            raise UserError(f"reject_below must be a probability or auto, got {given!r}") from None
    results = RunFolder(run.path).read_results()
    if results.get("reject_below") is None:
        raise UserError(f"reject_below must be a number for a run without a threshold of its own, got auto: {run.path}")
    return results["reject_below"]


def predict_samples(
    run: Run, samples: Mapping[str, Sample], *, topk: int = 1, reject_below: float | None = None, rate: float = 1.0
) -> Columns:
    """Predict samples by name, in batches as large as in the training; options and columns as of `predict_files`.

    `rate` is the step of the positions relative to training.

    Raises:
        UserError: As `predict_files`, or if images of several sizes are in one batch.
    """
    outputs = []
    for batch in _batches(list(samples.values()), run.preprocessing.batch_size):
        x, lengths = stack_samples(_rows(batch))
        outputs.append(run.compute_outputs(x, lengths, rate=rate))
    return {"name": list(samples), **name_answers(run, torch.cat(outputs), topk=topk, reject_below=reject_below)}


def name_answers(run: Run, outputs: Tensor, *, topk: int = 1, reject_below: float | None = None) -> Columns:
    """Turn outputs of the head, `(N, ...)`, into columns; options, columns and errors as of `predict_files`."""
    outputs = outputs.double()
    predicted = run.model.head.predictions(outputs)
    columns = name_columns(predicted, class_names=run.class_names)
    one_class, head = names_one_class(predicted), type(run.model.head).__name__
    if topk > 1 and not (one_class and hasattr(run.model.head, "probabilities")):
        raise UserError(f"topk must be 1 with {head}, which names no single class with its probability, got {topk}")
    if not 1 <= topk <= len(run.class_names):
        raise UserError(f"topk must lie in 1..{len(run.class_names)}, the number of classes, got {topk}")
    if topk > 1:
        probabilities, places = run.model.head.probabilities(outputs).topk(topk, dim=1)
        for rank in range(1, topk):
            ranked = {"predicted": places[:, rank], "probability": probabilities[:, rank]}
            named = name_columns(ranked, class_names=run.class_names)
            columns |= {f"{name}_{rank + 1}": values for name, values in named.items()}
    if reject_below is not None:
        if not one_class:
            raise UserError(
                f"reject_below must be left out with {head}, which names no single class with its probability, "
                f"got {reject_below}"
            )
        if not 0 <= reject_below <= 1:
            raise UserError(f"reject_below must lie in [0, 1], got {reject_below}")
        if NONE in run.class_names:
            raise UserError(f"reject_below must be left out where a class is named {NONE}, got {reject_below}")
        rejected = (predicted["probability"] < reject_below).tolist()
        columns["predicted"] = [
            NONE if reject else name for name, reject in zip(columns["predicted"], rejected, strict=True)
        ]
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
