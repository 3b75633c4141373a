"""Speed and memory of the networks of a benchmark at several lengths, as the paper of the Long Range Arena has them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tasks.bench.jobs import Job
from tasks.bench.tables import Run, collect_runs, replace_files, samples_per_second, show_memory
from tasks.errors import UserError
from tasks.results.formats import to_latex, to_markdown
from tasks.runs.run_folder import write_text

LENGTHS = (1024, 2048, 3072, 4096)
BATCH_SIZE = 32
NUM_STEPS = 8
EMBEDDING = "hyperseq.nn.TokenEmbedding"


def write_speed_configs(configs: dict[str, Path], *, lengths: Sequence[int], folder: Path) -> list[str]:
    """Write each config once a length, with random tokens for its data, and return the names in the order of the table.

    Raises:
        UserError: If a length is below 1 or stands twice, or a network takes no tokens.
    """
    if not lengths or min(lengths) < 1 or len(set(lengths)) < len(lengths):
        raise UserError(f"lengths must be different ones of at least 1, got {', '.join(map(str, lengths))}")
    texts = {}
    for task, path in configs.items():
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        stem = config["model"]["backbone"].get("init_args", {}).get("stem")
        if (stem["class_path"] if isinstance(stem, dict) else stem) != EMBEDDING:
            raise UserError(f"tasks must take tokens, by the stem {EMBEDDING}, to be timed at any length, got {task}")
        # A network of one's own lies beside its config.
        config.setdefault("run", {})["import_from"] = [str(path.parent.resolve())]
        # Heads of pairs and the like belong to data of their own.
        config["model"].pop("head", None)
        for length in lengths:
            config["trainer"] = {"max_epochs": 1, "limit_val_batches": 0, "limit_test_batches": 0}
            config["data"] = {
                "class_path": "tasks.lra.random_tokens.RandomTokens",
                "init_args": {"length": length, "num_train": NUM_STEPS * BATCH_SIZE, "batch_size": BATCH_SIZE},
            }
            texts[f"{task}-{length}"] = yaml.safe_dump(config, sort_keys=False)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / f"{name}.yaml", text)
    return list(texts)


def write_speed_tables(jobs: Sequence[Job], *, out: Path) -> list[Path]:
    """Write `speed.md`, `speed.tex` and `speed.json` of what the jobs reached so far, and return their paths."""
    speeds = _collect_speeds(collect_runs(jobs))
    texts = {
        "speed.md": format_speeds(speeds, latex=False),
        "speed.tex": format_speeds(speeds, latex=True),
        "speed.json": json.dumps({"batch_size": BATCH_SIZE, "steps": NUM_STEPS, "networks": speeds}, indent=2) + "\n",
    }
    return replace_files(texts, out=out)


def format_speeds(speeds: dict[str, dict[int, dict[str, Any]]], *, latex: bool) -> str:
    """Return the table: steps a second with their ratio to the last network, and the peak memory, at each length."""
    lengths = list(next(iter(speeds.values())))
    *_, beside = speeds
    rows = [list(_cells(name, speeds[name], speeds[beside])) for name in speeds]
    columns = ["network", "parameters", *(f"{length:,}: steps/s" for length in lengths)]
    columns += [f"{length:,}: memory" for length in lengths]
    known = [speed for each in speeds.values() for speed in each.values() if "device" in speed]
    devices = sorted({f"{speed['device']}, threads: {speed['num_threads']}" for speed in known})
    note = (
        f"A step trains {BATCH_SIZE} sequences of as many random tokens: forward, backward and optimizer, the mean of "
        f"{NUM_STEPS} steps, the first included. In brackets how many times the steps of {beside}. Memory is the peak "
        f"of the process, or of the accelerator where there is one. {'; '.join(devices)}."
    )
    return (to_latex if latex else to_markdown)(columns, rows).rstrip("\n") + f"\n\n{note}\n"


def _collect_speeds(runs: dict[str, list[Run]]) -> dict[str, dict[int, dict[str, Any]]]:
    speeds: dict[str, dict[int, dict[str, Any]]] = {}
    for name, (run,) in runs.items():
        task, _, length = name.rpartition("-")
        speeds.setdefault(task, {})[int(length)] = {"state": run["state"]} if "state" in run else _describe(run)
    return speeds


def _describe(run: Run) -> dict[str, Any]:
    rate = samples_per_second(run)
    return {
        "parameters": run["parameters"],
        "steps_per_second": rate and rate / BATCH_SIZE,
        "memory": run["memory"],
        "device": run["device"],
        "num_threads": run["torch_threads"],
        "versions": run["versions"],
        "commit": run["commit"],
    }


def _cells(name: str, speeds: dict[int, dict[str, Any]], beside: dict[int, dict[str, Any]]) -> Iterator[str]:
    yield name
    yield next((f"{speed['parameters']:,}" for speed in speeds.values() if "parameters" in speed), "")
    for length, speed in speeds.items():
        rate, other = speed.get("steps_per_second"), beside[length].get("steps_per_second")
        ratio = f" ({rate / other:.1f})" if rate and other and speed is not beside[length] else ""
        yield f"{rate:.3g}{ratio}" if rate else speed.get("state", "")
    for speed in speeds.values():
        yield show_memory([speed])
