"""Who takes part, of which size, and with which options."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.comparison.networks import GRU, DilatedConvolutions, Transformer, num_parameters, of_size
from hyperseq import Terminator
from hyperseq.losses import slow_neural_loss
from hyperseq.optim import param_groups
from tasks.images.mnist import MNIST
from tasks.learning.classifier import Classifier
from tasks.training.resolved_config import read_options

CONFIG = Path(__file__).parents[2] / "configs/images/smnist.yaml"

PEERS = ("transformer", "gru", "dilated")
LEARNING_RATES = {"transformer": 1e-3, "gru": 2e-3, "dilated": 5e-3}
WEIGHT_DECAY = 0.01
"""Of the matrices of the peers; what the config says is that of the Terminator."""


@dataclass(frozen=True)
class Contender:
    """A network that is ready to be trained.

    Attributes:
        model: From sequences `(B, 1, L)` to class scores.
        groups: Its parameters, with peak learning rates and decays.
        loss: Of the model, inputs and classes.
        options: What it was built with, for the reader.
    """

    model: nn.Module
    groups: list[dict[str, Any]]
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]
    options: dict[str, Any]


def smnist_options() -> dict[str, Any]:
    """Read the options of sequential MNIST."""
    return read_options(CONFIG)


def load_data(options: dict[str, Any], *, root: Path, seed: int) -> MNIST:
    """Set up the data of the config.

    Args:
        options: Options of the config.
        root: Folder of all data sets.
        seed: Seed of the order of the batches.

    Returns:
        The data, with their parts.
    """
    data = MNIST(**{**options["data"]["init_args"], "root": root, "seed": seed})
    data.setup()
    return data


def make_terminator(options: dict[str, Any], data: MNIST) -> Contender:
    """Build what the config names, with its own learning rates.

    Args:
        options: Options of the config.
        data: The data.

    Returns:
        The contender.
    """
    backbone_options = options["model"]["backbone"]["init_args"]
    backbone = Terminator(data.num_spatial_dims, data.in_channels, size=data.size, **backbone_options)
    model_options = {name: value for name, value in options["model"].items() if name != "backbone"}
    model = Classifier(backbone, num_classes=data.num_classes, **model_options)

    def loss(model: Classifier, x: Tensor, y: Tensor) -> Tensor:
        hyper_kernels = model.backbone.hyper_kernels()
        logits = model(x, hyper_kernels=hyper_kernels)
        slow_loss = model.slow_neural_loss_weight * slow_neural_loss(hyper_kernels)
        return cross_entropy(logits, y, label_smoothing=model.label_smoothing) + slow_loss

    told = {"channels": list(backbone.channels), "lr": model.lr, "weight_decay": model.weight_decay}
    return Contender(model=model, groups=model.parameter_groups(), loss=loss, options=told)


def make_peer(name: str, options: dict[str, Any], data: MNIST, *, parameters: int, lr: float) -> Contender:
    """Build a peer of the same size, which shares label smoothing with the Terminator.

    Args:
        name: One of `PEERS`.
        options: Options of the config.
        data: The data.
        parameters: Parameters of the Terminator.
        lr: Peak learning rate.

    Returns:
        The contender.
    """
    (length,), num_classes = data.size, data.num_classes
    builders: dict[str, Callable[[int], nn.Module]] = {
        "transformer": partial(Transformer, length=length, num_classes=num_classes),
        "gru": partial(GRU, num_classes=num_classes),
        "dilated": partial(DilatedConvolutions, num_classes=num_classes),
    }
    model, width = of_size(builders[name], widths=range(1, 1025), parameters=parameters)
    label_smoothing = options["model"]["label_smoothing"]

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(model(x), y, label_smoothing=label_smoothing)

    told = {"width": width, "lr": lr, "weight_decay": WEIGHT_DECAY}
    return Contender(model=model, groups=param_groups(model, lr=lr, weight_decay=WEIGHT_DECAY), loss=loss, options=told)


def make_contender(name: str, options: dict[str, Any], data: MNIST, *, lr: float | None) -> Contender:
    """Build one contender.

    Args:
        name: `terminator` or one of `PEERS`.
        options: Options of the config.
        data: The data.
        lr: Peak learning rate of a peer; the Terminator has that of the config.

    Returns:
        The contender.
    """
    terminator = make_terminator(options, data)
    if name == "terminator":
        return terminator
    return make_peer(name, options, data, parameters=num_parameters(terminator.model), lr=lr or LEARNING_RATES[name])
