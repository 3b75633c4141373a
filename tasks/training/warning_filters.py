"""Only what the user asked for is printed."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning says about itself, and the warnings that nobody here can act on."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # For data in memory a worker process copies batches for longer than it takes to index them.
            warnings.filterwarnings("ignore", message=r"The '\w+' does not have many workers")
            # Lightning 2.6 uses a torch class by a name that torch is about to change; nothing here can.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            # With `run.compile`, the transforms stay calls of torch.
            warnings.filterwarnings("ignore", message="Torchinductor does not support code generation for complex")
            # A training may end before its first validation.
            warnings.filterwarnings("ignore", message=r"`ModelCheckpoint\(monitor='val/score'\)` could not find")
            # A run is resumed in its own folder.
            warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
