"""What can be known to be wrong before any data are read: options that make no sense, and files that are no configs."""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Trainer

from tasks.errors import UserError, check_seed
from tasks.learning.classifier import OPTION_RULES, check_options

BUILT_LATER = ("callbacks", "logger", "plugins", "profiler", "strategy")
"""Options of the trainer that may name classes."""


def check_words(words: list[str]) -> None:
    """Refuse a flag with an empty value, such as `--ckpt_path "$LAST"` where the shell has no such variable.

    Raises:
        UserError: If there is one.
    """
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        if word.startswith("--") and (word.endswith("=") or (not following and "=" not in word)):
            raise UserError(f"{word.strip('-=')} must have a value, got '' (null stands for none)")


def check_config_file(path: Path) -> None:
    """Check that a file is a config before it is parsed; a file that is missing is left to the parser.

    Raises:
        UserError: If the file is no YAML in UTF-8, a key stands twice, or a group of options is no mapping.
    """
    if not path.is_file():
        return
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise UserError(f"config must be a text in UTF-8, got {path}: {error.reason} at byte {error.start}") from error
    except yaml.YAMLError as error:
        raise UserError(f"config must be valid YAML, got {path}: {error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"config must be a mapping of options, got {path}")
    for key, lines in _find_repeated_keys(root):
        raise UserError(f"config must name each key once, got {key} in lines {' and '.join(lines)} of {path}")
    for key, value in root.value:
        if key.value in ("run", "trainer", "model") and not isinstance(value, yaml.MappingNode):
            raise UserError(f"{key.value} must be a mapping of options, got {value.value!r} in {path}")


def check_parsed_options(options: Namespace, *, training: bool) -> None:
    """Check the parsed options of `fit`, `validate`, `test` or `predict`, without the data.

    Raises:
        UserError: If an option is out of range, or would make Lightning do something else than its name says.
    """
    seeds = {"seed_everything": options.seed_everything, "data.split_seed": _split_seed(options)}
    check_seed(**{name: seed for name, seed in seeds.items() if seed is not None})
    if options.run.num_threads is not None and options.run.num_threads < 1:
        raise UserError(f"run.num_threads must be at least 1, got {options.run.num_threads}")
    if options.run.root.exists() and not options.run.root.is_dir():
        raise UserError(f"run.root must be a folder, got the file {options.run.root}")
    if training and options.trainer.precision == "16-true":
        raise UserError("trainer.precision must not be 16-true to train: gradients underflow, and the loss becomes NaN")
    check_options(**{name: options.model.get(name) for name, _, _ in OPTION_RULES})
    for name, rule in _broken_trainer_rules(options.trainer):
        raise UserError(f"trainer.{name} must be {rule}, got {options.trainer[name]}")


def build_bare_trainer(options: Namespace) -> Trainer:
    """Build the trainer without what may name classes, to see what Lightning makes of its options.

    Raises:
        UserError: If Lightning refuses an option, or would use another precision than the one named.
    """
    plain = {name: value for name, value in options.items() if name not in BUILT_LATER or isinstance(value, str)}
    try:
        with warnings.catch_warnings():
            # The trainer of the run warns again.
            warnings.simplefilter("ignore")
            trainer = Trainer(**plain | {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False})
    except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
        raise UserError(f"trainer must have options that Lightning takes: {error}") from error
    if trainer.strategy.root_device.type == "cpu" and options.precision in ("16-mixed", "16", 16):
        raise UserError(f"trainer.precision must be bf16-mixed for mixed precision on a CPU, got {options.precision}")
    return trainer


def _broken_trainer_rules(trainer: Namespace) -> Iterator[tuple[str, str]]:
    """Yield the name and the rule of each option of the trainer that cannot be kept."""
    if trainer.fast_dev_run:
        yield (
            "fast_dev_run",
            ("false: it keeps no run; limit trainer.max_epochs and trainer.limit_train_batches instead"),
        )
    if trainer.barebones:
        yield "barebones", "false: it keeps no run"
    if trainer.enable_checkpointing is False:
        yield "enable_checkpointing", "true: a run keeps its weights"
    if trainer.overfit_batches:
        yield "overfit_batches", "0: it replaces the loaders of the data; limit trainer.limit_train_batches instead"
    if trainer.limit_train_batches == 0:
        yield "limit_train_batches", "above 0; for a training without steps give trainer.max_epochs 0"
    if trainer.accumulate_grad_batches < 1:
        yield "accumulate_grad_batches", "at least 1"
    if trainer.gradient_clip_val is not None and not trainer.gradient_clip_val >= 0:
        yield "gradient_clip_val", "at least 0"
    for least, most in (("min_epochs", "max_epochs"), ("min_steps", "max_steps")):
        limit = trainer[most]
        if trainer[least] is not None and limit is not None and 0 <= limit < trainer[least]:
            yield least, f"at most trainer.{most}, {limit}"
    if trainer.check_val_every_n_epoch is not None and trainer.check_val_every_n_epoch < 1:
        yield "check_val_every_n_epoch", "at least 1"


def _split_seed(options: Namespace) -> Any:
    arguments = options.data.get("init_args") if isinstance(options.data, Namespace) else None
    seed = arguments.get("split_seed") if arguments else None
    return seed if isinstance(seed, int) else None


def _find_repeated_keys(node: yaml.Node, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the dotted name and the lines of each key that stands twice in a mapping."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _find_repeated_keys(item, prefix)
    if not isinstance(node, yaml.MappingNode):
        return
    counts = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
    for name, count in counts.items():
        if count > 1:
            yield f"{prefix}{name}", [str(key.start_mark.line + 1) for key, _ in node.value if key.value == name]
    for key, value in node.value:
        yield from _find_repeated_keys(value, f"{prefix}{key.value}.")
