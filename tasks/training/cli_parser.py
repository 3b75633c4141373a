"""Errors of the command line as one line that names the key and the nearest one that exists."""

import re
from ast import literal_eval
from collections.abc import Iterator
from difflib import get_close_matches
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin

import yaml
from jsonargparse import Namespace
from pytorch_lightning.cli import LightningArgumentParser

UNKNOWN_KEY = (
    re.compile(r"unrecognized arguments: (?P<key>.*)"),
    re.compile(r"Subcommand '(?P<verb>\w+)' does not accept option '(?P<key>[^']+)'"),
    re.compile(r"Option '(?P<key>[^']+)' is not accepted"),
)

# What other programs call it, and the key here.
USUAL_NAMES = {
    "epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "learning_rate": "model.lr",
    "learningrate": "model.lr",
    "wd": "model.weight_decay",
    "batch_size": "data.batch_size",
    "bs": "data.batch_size",
    "num_workers": "data.num_workers",
    "seed": "seed_everything",
    "random_state": "seed_everything",
    "device": "trainer.accelerator",
    "gpus": "trainer.accelerator",
    "clip": "trainer.gradient_clip_val",
    "grad_clip": "trainer.gradient_clip_val",
    "fp16": "trainer.precision",
    "output_dir": "run.root",
    "out": "run.root",
    "run": "config",
    "resume": "ckpt_path",
    "checkpoint": "ckpt_path",
    "network": "model.backbone",
    "dataset": "data",
    "threads": "run.num_threads",
}

CHOICE = re.compile(
    r'Parser key "(?P<key>[^"]+)": Expected a typing\.Literal\[(?P<choices>[^]]+)\]\. Got value: (?P<value>.*)'
)

UNION = re.compile(
    r'Parser key "(?P<key>[^"]+)": Does not validate against any of the Union subtypes '
    r"Subtypes: \[(?P<kinds>(?:<class '\w+'>(?:, )?)+)\] .* Given value: (?P<value>.*)"
)
KINDS = {"int": "an integer", "float": "a number", "bool": "true or false", "str": "a text", "NoneType": "null"}

IMPORT_FAILED = re.compile(
    r"No module named '([^']+)'|module '[^']+' has no attribute '[^']+'|cannot import name '[^']+'"
)


class RefusedOptions(SystemExit):
    """Options that the command refuses: `reason` is the one line to print, `code` is 2.

    An exit and no `UserError`: jsonargparse catches errors of values, and tries another type.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(2)
        self.reason = reason


class OneLineParser(LightningArgumentParser):
    """A parser that says in one line what is wrong."""

    def instantiate_classes(self, namespace: Namespace, **options: Any) -> Namespace:
        """Build what the configuration names.

        Lightning calls the method by this name, which jsonargparse replaced by `instantiate` and warns about.
        """
        return self.instantiate(namespace, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `RefusedOptions`."""
        raise RefusedOptions(one_line(message, self))


def one_line(message: str, parser: LightningArgumentParser) -> str:
    """Shorten an error, and add the nearest valid key where the error is an unknown one."""
    for pattern in UNKNOWN_KEY:
        if match := pattern.search(message):
            key = _first_key(match["key"])
            if "verb" in match.groupdict():
                parser = _verb_parser(parser, match["verb"])
            return f"unknown key {key!r}{_nearest(key, _keys(parser))}"
    line = " ".join(message.split())
    if chosen := CHOICE.search(line):
        choices = ", ".join(str(choice) for choice in literal_eval(f"[{chosen['choices']}]"))
        return f"{chosen['key']} must be one of {choices}, got {chosen['value']}"
    if union := UNION.search(line):
        kinds = re.findall(r"<class '(\w+)'>", union["kinds"])
        return f"{union['key']} must be {' or '.join(KINDS.get(kind, kind) for kind in kinds)}, got {union['value']}"
    # jsonargparse tells every type that it tried; the failed import says what a user has to know.
    named, cause = re.search(r'Parser key "([^"]+)"', line), IMPORT_FAILED.search(line)
    # A module that the named one imports is missing: then the whole message says more.
    if named is None or cause is None or (cause[1] and f"{cause[1]}." not in line):
        return line
    return f"{named[1]} must be an import path, such as package.module.Class: {cause[0]}"


def prefer_integers(parser: LightningArgumentParser) -> None:
    """Let every option that takes int and float read `1` as an int: Lightning takes 1 for one batch, 1.0 for all.

    And `0.5` as a float where a text is taken, too. jsonargparse tries the types of a union in their order. Unions of
    `typing` that are equal may be one object, whose order is that of whoever made it first in this process.
    """
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        if get_origin(hint) in (Union, UnionType) and {int, float} <= set(get_args(hint)):
            ordered = sorted(get_args(hint), key=lambda kind: (kind is not int, kind is not float))
            action._typehint = reduce(or_, ordered)  # type: ignore[attr-defined]


def collect_typed_keys(words: list[str], files: list[Path]) -> set[str]:
    """Collect the dotted keys that a user gave a value, before links and defaults fill in the others.

    The key of a class has the `init_args` that a flag may leave out.
    """
    keys = {word.split("=")[0].removeprefix("--") for word in words if word.startswith("--")}
    for file in files:
        keys |= set(_flat(yaml.safe_load(file.read_text(encoding="utf-8")) or {}))
    short = re.compile(r"^(data|model\.(?:backbone|head|optimizer))\.(?!init_args\.|class_path)")
    return {short.sub(r"\1.init_args.", key) for key in keys}


def _flat(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")


def _first_key(arguments: str) -> str:
    words = arguments.split()
    flags = [word for word in words if word.startswith("-")] or words
    return flags[0].split("=")[0].lstrip("-")


def _nearest(key: str, keys: list[str]) -> str:
    usual = USUAL_NAMES.get(key.rpartition(".")[2].replace("-", "_"))
    if usual is not None:
        return f"; did you mean {usual!r}?"
    # A key without its group is a common slip: what it would be with the group is the nearest there is.
    with_group = [known for known in keys if known.endswith(f".{key}")]
    nearest = with_group or get_close_matches(key, keys, n=1, cutoff=0.4)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _keys(parser: LightningArgumentParser) -> list[str]:
    return [action.dest for action in parser._actions if not action.dest.endswith(".help")]


def _verb_parser(parser: LightningArgumentParser, verb: str) -> LightningArgumentParser:
    for action in parser._actions:
        if isinstance(action.choices, dict) and verb in action.choices:
            return action.choices[verb]
    return parser
