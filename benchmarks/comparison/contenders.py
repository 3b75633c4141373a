"""Who takes part, of which size, and with which options."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.comparison.networks import GRU, DilatedConvolutions, Transformer, num_parameters, of_size
from benchmarks.comparison.training import TimedClassifier
from hyperseq import Terminator
from tasks.images.mnist import MNIST
from tasks.training.resolved_config import read_options

CONFIG = Path(__file__).parents[2] / "configs/images/smnist.yaml"

PEERS = ("transformer", "gru", "dilated")
LEARNING_RATES = {"transformer": 1e-3, "gru": 2e-3, "dilated": 5e-3}
WEIGHT_DECAY = 0.01
"""Of the matrices of the peers; the Terminator has the weight decay of the config."""
OPTIONS = ("lr", "slow_lr", "weight_decay", "label_smoothing", "slow_neural_loss_weight", "warmup", "ema_decay")
"""Options of the config that are passed on to the classifiers."""


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
        The data, with their splits.
    """
    data = MNIST(**{**options["data"]["init_args"], "root": root, "seed": seed})
    data.setup()
    return data


def make_contender(
    name: str, options: dict[str, Any], data: MNIST, *, lr: float | None
) -> tuple[TimedClassifier, dict[str, Any]]:
    """Build a classifier; a peer has as many parameters as the Terminator of the config, within 10%.

    Args:
        name: `terminator` or one of `PEERS`.
        options: Options of the config.
        data: The data.
        lr: Peak learning rate of a peer; `None` for that of `LEARNING_RATES`. The Terminator has that of the config.

    Returns:
        The classifier, and what the results tell of its size and its rates.
    """
    backbone_options = options["model"]["backbone"]["init_args"]
    shared = {option: options["model"][option] for option in OPTIONS if option in options["model"]}

    def classify(backbone: nn.Module, **own: Any) -> TimedClassifier:
        return TimedClassifier(backbone, num_classes=data.num_classes, **{**shared, **own})

    backbone = Terminator(data.num_spatial_dims, data.in_channels, size=data.size, **backbone_options)
    terminator = classify(backbone)
    told = {"lr": terminator.lr, "weight_decay": terminator.weight_decay}
    if name == "terminator":
        return terminator, {"channels": list(backbone.channels), **told}
    (length,) = data.size
    networks: dict[str, Callable[[int], nn.Module]] = {
        "transformer": partial(Transformer, length=length),
        "gru": GRU,
        "dilated": DilatedConvolutions,
    }
    told = {"lr": lr or LEARNING_RATES[name], "weight_decay": WEIGHT_DECAY}
    peer, width = of_size(
        lambda width: classify(networks[name](width), **told),
        widths=range(1, 1025),
        parameters=num_parameters(terminator),
    )
    return peer, {"width": width, **told}
