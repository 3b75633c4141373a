"""A trained model, loaded from its run folder."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from tasks.data.data_module import check_data_module
from tasks.data.description import DataDescription
from tasks.errors import UserError
from tasks.learning.classifier import Classifier
from tasks.runs.checkpoints import load_weights, read_checkpoint
from tasks.runs.run_folder import RunFolder
from tasks.training.callbacks.data_description import KEY
from tasks.training.trainer_cli import TrainingCLI
from tasks.training.warning_filters import quiet

Sample = Tensor | tuple[Tensor, ...]
"""One input, or the two of a pair."""


class Run:
    """A finished run: the model with its best weights, and what it knows of its data.

    Attributes:
        path: The run folder.
        model: The model in evaluation mode, on the CPU.
        description: Classes, channels and size of the data, as the checkpoint carries them.
    """

    def __init__(self, path: Path, model: Classifier, description: DataDescription, loader: "_Loader") -> None:
        self.path, self.model, self.description = path, model, description
        self._loader = loader

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name a class, in the order of the probabilities."""
        return self.description.class_names

    @cached_property
    def preprocessing(self) -> Any:
        """The data module with what the training split taught; its data are not read."""
        with isolate_rng(), quiet():
            return self._loader.build_data(self._loader.data_options)

    @cached_property
    def data(self) -> Any:
        """The data module with all splits; the data set is read at the first access."""
        data = self.preprocessing
        with isolate_rng():
            data.prepare_data()
            for stage in ("fit", "test"):
                data.setup(stage)
        check_data_module(data)
        return data

    def read_samples(self, path: str | Path) -> dict[str, Sample]:
        """Read a file of new samples, preprocessed as the training data were.

        Args:
            path: A file that the data module of the run can read.

        Returns:
            The inputs by name, one sample each: `(C, *S)`, or ids `(L,)`; a pair of these where the samples are pairs.

        Raises:
            UserError: If the data module reads no files, or the file holds no sample or one that does not fit.
        """
        module = self.preprocessing
        if not callable(getattr(module, "read_samples", None)):
            raise UserError(f"{type(module).__name__} must have a method read_samples(path) to read files, got none")
        return self._check_samples(module.read_samples(Path(path)))

    def read_native_samples(self, path: str | Path) -> tuple[dict[str, Sample], float]:
        """Read a recording as `read_samples` does, but at its own rate.

        Returns:
            The inputs by name, and their `rate` for `predict`.
        """
        samples, rate = self.preprocessing.read_native_samples(Path(path))
        return self._check_samples(samples), rate

    def _check_samples(self, samples: Any) -> dict[str, Sample]:
        if not isinstance(samples, dict) or not samples:
            found = f"an empty {type(samples).__name__}" if isinstance(samples, dict) else type(samples).__name__
            raise UserError(f"read_samples must return a dict with at least one sample by name, got {found}")
        for name, x in samples.items():
            try:
                if isinstance(x, tuple) and len(x) != 2:
                    raise UserError(f"a tuple must hold the two samples of a pair, got {len(x)}")
                for part in x if isinstance(x, tuple) else (x,):
                    self.description.check_input(part, batched=False)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
        return samples

    def compute_outputs(self, x: Tensor, lengths: Tensor | None = None, *, rate: float = 1.0) -> Tensor:
        """Compute the outputs of the head, such as logits; arguments and errors as of `predict`."""
        self.description.check_input(x, batched=True)
        if lengths is not None and not isinstance(lengths, Tensor):
            raise UserError(f"lengths must be a torch.Tensor, got {type(lengths).__name__}")
        with torch.no_grad():
            return self.model(x, lengths=lengths, rate=rate)

    def predict(self, x: Tensor, lengths: Tensor | None = None, *, rate: float = 1.0) -> Tensor:
        """Compute the probability of each class.

        Args:
            x: Inputs as `read_samples` and the loaders make them: `(B, C, *S)`, or ids `(B, L)`; of pairs first all
                first ones, then all second ones.
            lengths: Filled positions of each sample, `(B,)`; `None` if all positions are filled.
            rate: Step of the positions relative to training: 2.0 means every second sample.

        Returns:
            Probabilities, `(B, num_classes)`; the outputs of a head that has no probabilities.

        Raises:
            UserError: If `x` has the wrong type or shape or is not finite, `lengths` is no tensor, or the network takes
                no rate.
        """
        outputs = self.compute_outputs(x, lengths, rate=rate)
        probabilities = getattr(self.model.head, "probabilities", None)
        return outputs if probabilities is None else probabilities(outputs)


def load_run(path: str | Path) -> Run:
    """Load a run folder that `hyperseq fit` wrote, without reading its data set.

    Modules that lay beside the config or in the current folder at training are found again. Random numbers and the
    number of threads stay as they are.

    Args:
        path: The run folder.

    Returns:
        The run.

    Raises:
        UserError: If the folder holds no config or no best checkpoint, or the checkpoint belongs to another model.

    Example:
        >>> run = load_run("runs/digits/1")  # doctest: +SKIP
        >>> batch = next(iter(run.data.test_dataloader()))  # doctest: +SKIP
        >>> run.predict(batch["x"]).argmax(dim=1)  # doctest: +SKIP
    """
    folder = RunFolder(Path(path))
    best = folder.checkpoint("best")
    if not folder.config.is_file():
        raise UserError(f"path must be a run folder, got {folder.path} without {folder.config.name}")
    if not best.is_file():
        raise UserError(f"path must be a run that has finished an epoch, got {folder.path} without a best checkpoint")
    described = read_checkpoint(best).get(KEY)
    if described is None:
        raise UserError(f"path must be a run of this version, got {folder.path}, whose checkpoint has no {KEY}")
    description = DataDescription(**described)
    threads = torch.get_num_threads()
    try:
        with isolate_rng(), quiet():
            loader = _Loader(folder, description)
    finally:
        torch.set_num_threads(threads)
    load_weights(loader.model, best)
    return Run(folder.path, loader.model.eval(), description, loader)


class _Described(LightningDataModule):
    """What the options of a model are linked to, without any data: jsonargparse wants a data module there."""

    def __init__(self, description: DataDescription) -> None:
        super().__init__()
        vars(self).update(vars(description))


class _Loader(TrainingCLI):
    """Build the model of a run as `hyperseq test` does; the description stands in for the data."""

    def __init__(self, run: RunFolder, description: DataDescription) -> None:
        self.description = description
        super().__init__(["test", "--config", str(run.config)])

    def instantiate_classes(self) -> None:
        """Build the model alone."""
        config = self.config.clone()
        options = config[self.subcommand]
        self.data_options: Namespace = options.data
        options.data = _Described(self.description)
        self.config_init = self.parser.instantiate_classes(config)
        self.model = self._get(self.config_init, "model")

    def _run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""
