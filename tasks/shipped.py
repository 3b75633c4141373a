"""What comes with the project: configs, data sets and networks, each in one line."""

import ast
import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path

import yaml

from tasks.data.data_set import find_data_sets
from tasks.errors import UserError

LEFT_OUT = {"root", "batch_size", "split_seed", "num_workers"}
CHECKOUT = Path(__file__).resolve().parents[1]


def find_configs(checkout: Path = CHECKOUT) -> dict[str, Path]:
    """Return the shipped configs by name, such as `images/digits`; those of the clone, or of the installed wheel."""
    found = sorted((checkout / "configs").glob("*/*.yaml"))
    if not found:
        try:
            installed = files("hyperseq") or []
        except PackageNotFoundError:
            installed = []
        found = sorted(
            Path(str(file.locate())) for file in installed if re.search(r"hyperseq/configs/.*\.yaml$", str(file))
        )
    return {f"{path.parent.name}/{path.stem}": path.resolve() for path in found}


def resolve_config_names(words: list[str]) -> list[str]:
    """Replace run folders and names of shipped configs behind `--config` by paths; a file of that name comes first.

    `configs/series/own.yaml`, as documents write it, is `series/own` outside the clone.

    Raises:
        UserError: If there is neither.
    """
    configs, resolved = find_configs(), list(words)

    def find(name: str) -> Path | str:
        of_run = Path(name, "config.yaml")
        if name and of_run.is_file():
            return of_run
        if not name or Path(name).exists():
            return name
        shipped = name.removeprefix("configs/").removesuffix(".yaml")
        if shipped not in configs:
            nearest = get_close_matches(shipped, configs, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else "hyperseq list names the shipped ones"
            wanted = "a file, a run folder or the name of a shipped config"
            raise UserError(f"config must be {wanted}, got {name!r}; {hint}")
        return configs[shipped]

    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag == "--config" and equals:
            resolved[number] = f"--config={find(value)}"
        elif number and words[number - 1] == "--config":
            resolved[number] = str(find(word))
    return resolved


def list_shipped() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield a heading and its lines, name and purpose, for data sets, configs and networks."""
    yield (
        "data sets, for hyperseq data prepare NAME",
        [
            (name, data_set.purpose or _describe_module(f"tasks.{data_set.name}"))
            for name, data_set in find_data_sets().items()
        ],
    )
    yield (
        "configs, for hyperseq fit --config NAME",
        [(name, _describe_config(path)) for name, path in find_configs().items()],
    )
    # Imported here: torch takes seconds, and the other verbs do not need it.
    from hyperseq import backbones

    yield (
        "networks, for --model.backbone hyperseq.backbones.NAME",
        [(name, _first_line(getattr(backbones, name).__doc__)) for name in backbones.__all__],
    )


def _describe_config(path: Path) -> str:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    module = config["data"]["class_path"].rpartition(".")[0]
    network = config["model"]["backbone"]["class_path"].rpartition(".")[2]
    options = {name: value for name, value in config["data"].get("init_args", {}).items() if name not in LEFT_OUT}
    told = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"{network} on {_describe_module(module).split(':')[0]}" + (f" ({told})" if told else "")


def _describe_module(name: str) -> str:
    # Read, not imported: data modules import Lightning.
    # Several data sets can share a data module; then the reader of the files tells.
    group, _, last = name.rpartition(".")
    spec = find_spec(name) or find_spec(f"{group}.published.{last}")
    source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    return _first_line(ast.get_docstring(ast.parse(source)))


def _first_line(text: str | None) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text else ""
