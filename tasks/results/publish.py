"""The measured results that the project publishes: one JSON file a run in `results/`, without paths of any machine."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import UserError
from tasks.results.readme_table import readme_with_table
from tasks.runs.options import START_FROM, Options, drop_run_specific, flatten
from tasks.runs.run_folder import RunFolder, write_json, write_text

Record = dict[str, Any]

REQUIRED_KEYS = ("metric", "n", "selected_on", "input_shape", "parameters", "seconds", "split", "versions", "commit",
                 "dirty", "device", "torch_threads", "resumed")  # fmt: skip
RESULTS, CONFIGS, README = "results", "configs", "README.md"


def publish(runs: list[Path], *, checkout: Path) -> list[Path]:
    """Write one file a run, and the table of all in the README; all of it or nothing.

    `checkout` is the root of the source checkout. Without runs, only the table is written. Return the written files.

    Raises:
        UserError: If a run is neither finished nor failed, is published already, belongs to no config, started from
            weights of another, or differs in its options from other published runs of its task; or if this is no
            checkout.
    """
    for name in (CONFIGS, README):
        if not (checkout / name).exists():
            raise UserError(f"publish must be called in the root of a checkout, got {checkout} without {name}")
    if runs:
        # What a config stands for is known to the parser of the training alone; the table needs no training.
        from tasks.training.resolved_config import read_options
    options = [_own_options(path) for path in runs]
    configs = {name: _find_config(name, checkout=checkout) for name in sorted({each["run.name"] for each in options})}
    wanted = {name: drop_run_specific(dict(flatten(read_options(config)))) for name, config in configs.items()}
    written: dict[Path, Record] = {}
    for path, own in zip(runs, options, strict=True):
        name = own["run.name"]
        config = configs[name].relative_to(checkout).as_posix()
        record = _make_record(RunFolder(path), own=own, wanted=wanted[name], config=config)
        target = checkout / RESULTS / f"{name}-seed{record['seed']}.json"
        if target in written or target.exists():
            raise UserError(f"{target.name} must be deleted to publish {path} in its place, got one that is published")
        written[target] = record
    records = [*read_records(checkout), *written.values()]
    _check_alike(records)
    readme = checkout / README
    text = readme_with_table(readme.read_text(encoding="utf-8"), records)
    for target, record in written.items():
        target.parent.mkdir(exist_ok=True)
        write_json(target, record)
    write_text(readme, text)
    return [*written, readme]


def _make_record(run: RunFolder, *, own: Options, wanted: Options, config: str) -> Record:
    if own.get(START_FROM) is not None:
        raise UserError(
            f"{START_FROM} must be null in {run.path}, since a config alone must repeat what is published, got "
            f"{own[START_FROM]}"
        )
    options = drop_run_specific(own)
    record = {
        "task": own["run.name"],
        "config": config,
        "changed": {name: value for name, value in options.items() if wanted.get(name) != value},
        "seed": own["seed_everything"],
    }
    if run.results.is_file():
        told = json.loads(run.results.read_text(encoding="utf-8"))
        if missing := [name for name in REQUIRED_KEYS if name not in told]:
            raise UserError(f"{run.results} must contain {', '.join(missing)}, got results of an earlier version")
        record |= {name: value for name, value in told.items() if name not in ("config", *record)}
    elif run.error.is_file():
        record["failed"] = _name_of_error(run.error.read_text(encoding="utf-8"))
    else:
        raise UserError(f"RUN must be finished or failed, got {run.path}, which is neither")
    return record | {"options": {name: value for name, value in options.items() if value is not None}}


def read_records(checkout: Path) -> list[Record]:
    """Read what is published in a source checkout: one record a file."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((checkout / RESULTS).glob("*.json"))]


def _check_alike(records: list[Record]) -> None:
    # Means are taken over the runs of a task, so they must have measured the same thing.
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(record["task"], record)
        for name in other["options"].keys() & record["options"].keys():
            values = other["options"][name], record["options"][name]
            if values[0] != values[1]:
                raise UserError(
                    f"{name} must be the same in all published runs of {record['task']}, got {values[0]} with seed "
                    f"{other['seed']} and {values[1]} with seed {record['seed']}"
                )


def _find_config(name: str, *, checkout: Path) -> Path:
    files = sorted((checkout / CONFIGS).rglob("*.yaml"))
    found = [file for file in files if dict(flatten(_read_yaml(file))).get("run.name") == name]
    if len(found) != 1:
        raise UserError(f"run.name must be that of one file in {CONFIGS}, got {name!r}, the name of {len(found)}")
    return found[0]


def _own_options(path: Path) -> Options:
    run = RunFolder(path)
    if not run.config.is_file():
        raise UserError(f"RUN must be a run folder, got {path} without {run.config.name}")
    return dict(flatten(run.read_config()))


def _read_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _name_of_error(text: str) -> str:
    # The message may hold paths and lines of its own; the class alone says enough.
    names = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception))\b", text, flags=re.MULTILINE)
    return names[-1] if names else "unknown"
