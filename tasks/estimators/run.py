"""A trained model, loaded from its run folder."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.learning.classifier import Classifier
from tasks.runs.checkpoints import load_weights
from tasks.runs.run_folder import RunFolder
from tasks.training.trainer_cli import LINKS, TrainingCLI
from tasks.training.warning_filters import quiet


class Run:
    """A finished run: the model with its best weights, and the data.

    Attributes:
        model: The model in evaluation mode, on the CPU.
        path: The run folder.
    """

    def __init__(self, path: Path, model: Classifier, data: LightningDataModule) -> None:
        self.path, self.model = path, model
        # `check_data_module` requires the attributes that are read here; Lightning's class does not declare them.
        self._data: Any = data

    @cached_property
    def data(self) -> Any:
        """The data, with what the checkpoint learnt from the training split; read at the first access."""
        _set_up(self._data)
        check_data_module(self._data)
        return self._data

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name a class, in the order of the probabilities."""
        data = self._data if hasattr(self._data, "class_names") else self.data
        return tuple(data.class_names)

    @torch.no_grad()
    def predict(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the probability of each class.

        Args:
            x: Inputs as the data module makes them: `(B, C, *S)`, or ids `(B, L)`.
            lengths: Filled positions of each sample, `(B,)`; `None` if all positions are filled.

        Returns:
            Probabilities, `(B, num_classes)`; the outputs of a head that has no probabilities.

        Raises:
            UserError: If `x` has the wrong type or shape, or `lengths` is no tensor.
        """
        for name, value in {"x": x, "lengths": lengths}.items():
            if not isinstance(value, Tensor) and (name == "x" or value is not None):
                raise UserError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
        ids = getattr(self._data, "num_tokens", None) is not None
        if x.dtype != (wanted := torch.int64 if ids else torch.float32):
            raise UserError(f"x must be of {wanted}, got {x.dtype}")
        axes, channels = self._data.num_spatial_dims, self._data.in_channels
        if x.ndim != 2 if ids else (x.ndim != 2 + axes or x.shape[1] != channels):
            shape = "ids (B, L)" if ids else f"(B, {channels}, {', '.join(f'S{n}' for n in range(1, axes + 1))})"
            raise UserError(f"x must have the shape {shape}, got {tuple(x.shape)}")
        outputs = self.model(x, lengths=lengths)
        probabilities = getattr(self.model.head, "probabilities", None)
        return outputs if probabilities is None else probabilities(outputs)


def load_run(path: str | Path) -> Run:
    """Load a run folder that `hyperseq fit` wrote.

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
    if not folder.config.is_file():
        raise UserError(f"path must be a run folder, got {folder.path} without {folder.config.name}")
    if not folder.checkpoint("best").is_file():
        raise UserError(f"path must be a run that has finished an epoch, got {folder.path} without a best checkpoint")
    threads = torch.get_num_threads()
    try:
        with isolate_rng(), quiet():
            loader = _Loader(["test", "--config", str(folder.config)])
    finally:
        torch.set_num_threads(threads)
    load_weights(loader.model, folder.checkpoint("best"))
    return Run(folder.path, loader.model.eval(), loader.datamodule)


class _Loader(TrainingCLI):
    """Build model and data of a config as `hyperseq test` does; read no data unless the model depends on them."""

    def instantiate_classes(self) -> None:
        config = self.config.clone()
        options = config[self.subcommand]
        self.datamodule = options.data = self.build_data(options.data)
        wanted = [source.split(".")[1] for source in LINKS if source.startswith("data.")]
        if not all(hasattr(self.datamodule, name) for name in wanted):
            _set_up(self.datamodule)
        if not hasattr(self.datamodule, "num_tokens"):
            self.datamodule.num_tokens = None
        self.config_init = self.parser.instantiate_classes(config)
        self.model = self._get(self.config_init, "model")

    def _run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""


def _set_up(data: LightningDataModule) -> None:
    with isolate_rng():
        data.prepare_data()
        for stage in ("fit", "test"):
            data.setup(stage)
