import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

GROUPS = ("images", "lra", "series", "speech")
LEAVES = ("hyperseq._axes", "hyperseq._checks")
TASK_LEAVES = ("tasks.errors", "tasks.console", "tasks.extras")

# A part of the project is what the first two words of a module's name say. Beside itself it may import these.
MAY_IMPORT = {
    "hyperseq": {"hyperseq"},
    "hyperseq._axes": set(),
    "hyperseq._checks": {"hyperseq._axes"},
    "hyperseq.functional": {*LEAVES},
    "hyperseq.nn": {*LEAVES, "hyperseq.functional"},
    "hyperseq.losses": {*LEAVES, "hyperseq.functional", "hyperseq.nn"},
    "hyperseq.optim": {*LEAVES, "hyperseq.functional", "hyperseq.nn"},
    "hyperseq.onnx": set(),
    "hyperseq.pretrained": {*LEAVES, "hyperseq.functional", "hyperseq.nn", "hyperseq.backbones"},
    "hyperseq.backbones": {*LEAVES, "hyperseq.functional", "hyperseq.nn"},
    "hyperseq.adapters": {*LEAVES, "hyperseq.functional", "hyperseq.nn"},
    "hyperseq.*": set(),
    "tasks.errors": set(),
    "tasks.console": set(),
    "tasks.extras": set(),
    "tasks.short_help": set(),
    "tasks.shipped": {"hyperseq", *TASK_LEAVES, "tasks.data"},
    "tasks.data": {"hyperseq", *TASK_LEAVES},
    "tasks.learning": {"hyperseq", *TASK_LEAVES, "tasks.data"},
    "tasks.runs": {"hyperseq", *TASK_LEAVES},
    **{f"tasks.{group}": {"hyperseq", *TASK_LEAVES, "tasks.data", "tasks.learning"} for group in GROUPS},
    "tasks.training": {"hyperseq", *TASK_LEAVES, "tasks.data", "tasks.learning", "tasks.runs"},
    "tasks.results": {"hyperseq", *TASK_LEAVES, "tasks.data", "tasks.learning", "tasks.runs", "tasks.training"},
    "tasks.estimators": {
        "hyperseq",
        *TASK_LEAVES,
        "tasks.shipped",
        "tasks.data",
        "tasks.learning",
        "tasks.runs",
        "tasks.training",
    },
    "tasks.bench": {*TASK_LEAVES, "tasks.shipped", "tasks.runs", "tasks.results"},
    "tasks.cli": {"hyperseq", "tasks"},
    "tasks.*": set(),
    "benchmarks.comparison": {"hyperseq", "benchmarks", "tasks"},
    "benchmarks.curriculum": {"benchmarks", "tasks"},
    "benchmarks.depth": {"hyperseq", "benchmarks", "tasks"},
    "benchmarks.listops_parts": {"tasks"},
    "benchmarks.longer_inputs": {"hyperseq", "benchmarks", "tasks"},
    "benchmarks.pathfinder_marks": {"tasks"},
    "benchmarks.recordings": {"benchmarks", "tasks"},
    "benchmarks.report": {"benchmarks", "tasks"},
    "benchmarks.running_statistics": {"hyperseq", "benchmarks", "tasks"},
    "benchmarks.series_peers": {"hyperseq", "tasks"},
    "benchmarks.speech_peers": {"hyperseq", "benchmarks", "tasks"},
    "benchmarks.*": {"hyperseq", "benchmarks", "tests.reference"},
}
LIBRARY_MAY_IMPORT = {"torch", "einops", "scipy", "typing_extensions", "safetensors"}
TRAINING_ONLY = ("lightning", "pytorch_lightning", "torchvision", "torchaudio", "jsonargparse", "matplotlib", "rich")

PUBLIC_NAMES = {
    "hyperseq": ["SequenceMixer", "Terminator", "adapters", "allocator", "functional", "losses", "nn", "optim"],
    "hyperseq.adapters": ["S4Style", "SelfAttentionStyle", "mixer_factory"],
    "hyperseq.allocator": ["keep_freed_memory"],
    "hyperseq.backbones": ["ResidualStack", "Terminator", "TerminatorCIFAR"],
    "hyperseq.functional": [
        "Padding",
        "adaptive_mean_pool",
        "as_padding",
        "batch_standardize",
        "causal_local_hyperzzw",
        "coordinate_grid",
        "cumulative_mean",
        "direct_conv",
        "fft_conv",
        "global_hyperzzw",
        "group_standardize",
        "hyper_channel_interaction",
        "hyper_interaction",
        "instance_standardize",
        "local_hyperzzw",
        "mask_padding",
        "mix_channels",
        "spatial_mean",
    ],
    "hyperseq.losses": ["slow_neural_loss"],
    "hyperseq.nn": [
        "AtLeastFloat32",
        "BatchStandardization",
        "ChannelMixing",
        "GlobalHyperZZW",
        "GroupStandardization",
        "HyperChannelInteraction",
        "HyperInteraction",
        "InstanceStandardization",
        "LocalHyperZZW",
        "RecursiveGatedUnit",
        "SFNEBlock",
        "SequenceBlock",
        "SequenceMixer",
        "SlowNetwork",
        "TokenEmbedding",
        "synchronize_statistics",
        "update_statistics",
    ],
    "hyperseq.onnx": ["export_onnx"],
    "hyperseq.optim": ["Kar2", "Kar3", "param_groups"],
    "hyperseq.pretrained": ["from_pretrained", "save_pretrained"],
}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str, root: Path) -> bool:
    path = root.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(file: Path, root: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield line, module and whether it is imported as soon as the file is, for every import in a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = file.relative_to(root).parent.parts
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    deferred = {inner for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            # `from package import module` imports the module; `from package import name` the package.
            names = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if is_module(name, root) else base for name in names]
        else:
            continue
        for target in targets:
            yield node.lineno, target, node not in deferred


def complaint(module: str, target: str, at_import: bool) -> str | None:
    project, top = module.split(".")[0], target.split(".")[0]
    if top in ("hyperseq", "tasks", "tests", "benchmarks"):
        part = ".".join(module.split(".")[:2])
        others = MAY_IMPORT.get(part, MAY_IMPORT[f"{project}.*"])
        if not any(within(target, package) for package in {part, *others}):
            return f"{part} must not import {target}"
        if project == "benchmarks" and any(name.startswith("_") for name in target.split(".")):
            return f"benchmarks use public names only, not {target}"
    elif top == "safetensors" and (at_import or module != "hyperseq.pretrained"):
        return "safetensors is imported in hyperseq.pretrained only, inside functions"
    elif project == "hyperseq" and top not in LIBRARY_MAY_IMPORT and top not in sys.stdlib_module_names:
        return f"hyperseq must not import {target}"
    elif top == "torchaudio" and (at_import or not within(module, "tasks.speech")):
        return "torchaudio is imported in tasks.speech only, inside functions"
    return None


def violations(root: Path) -> list[str]:
    found = []
    for folder in ("hyperseq", "tasks", "benchmarks"):
        for file in sorted((root / folder).rglob("*.py")):
            for line, target, at_import in imports(file, root):
                if problem := complaint(module_name(file, root), target, at_import):
                    found.append(f"{file.relative_to(root)}:{line}: {problem}")
    return found


def test_imports_go_one_way():
    assert violations(ROOT) == []


GOOD = [
    ("hyperseq/__init__.py", "from hyperseq import nn"),
    ("hyperseq/nn/a.py", "from hyperseq.functional import b"),
    ("hyperseq/nn/a.py", "from hyperseq import functional as F"),
    ("hyperseq/nn/a.py", "from . import b"),
    ("hyperseq/nn/a.py", "from ..functional import b"),
    ("hyperseq/losses.py", "from hyperseq.functional import b"),
    ("hyperseq/functional/a.py", "import math, torch.nn.functional, scipy.special\nfrom einops import rearrange"),
    ("hyperseq/pretrained.py", "from hyperseq.backbones import b\ndef load():\n    import safetensors"),
    ("tasks/images/a.py", "import hyperseq\nfrom tasks.data import b\nfrom tasks.images import c"),
    ("tasks/cli.py", "import tasks.images.a, pytorch_lightning"),
    ("tasks/speech/a.py", "def load():\n    import torchaudio"),
    ("benchmarks/a.py", "from hyperseq.nn import b\nfrom tests.reference import c"),
]
BAD = [
    ("hyperseq/_axes.py", "from hyperseq.functional import b"),
    ("hyperseq/functional/a.py", "from hyperseq import nn"),
    ("hyperseq/functional/a.py", "import hyperseq.nn.b"),
    ("hyperseq/functional/a.py", "from ..nn import b"),
    ("hyperseq/functional/a.py", "def later():\n    from hyperseq import Terminator"),
    ("hyperseq/nn/a.py", "from hyperseq.backbones import b"),
    ("hyperseq/nn/a.py", "import hyperseq"),
    ("hyperseq/backbones/a.py", "from hyperseq import losses"),
    ("hyperseq/pretrained.py", "import safetensors"),
    ("hyperseq/nn/a.py", "def load():\n    import safetensors"),
    ("hyperseq/nn/a.py", "from hyperseq.pretrained import b"),
    ("hyperseq/unknown.py", "from hyperseq import nn"),
    ("hyperseq/nn/a.py", "from tasks.data import b"),
    ("hyperseq/nn/a.py", "from tests import reference"),
    ("hyperseq/nn/a.py", "import pandas"),
    *[("hyperseq/nn/a.py", f"import {package}") for package in TRAINING_ONLY],
    ("tasks/data/a.py", "from tasks.images import b"),
    ("tasks/data/a.py", "from tasks.learning import b"),
    ("tasks/learning/a.py", "from tasks.training import b"),
    ("tasks/learning/a.py", "from tasks.runs import b"),
    ("tasks/runs/a.py", "from tasks.data import b"),
    ("tasks/training/a.py", "from tasks.results import b"),
    ("tasks/training/a.py", "from tasks.images import b"),
    ("tasks/results/a.py", "from tasks.estimators import b"),
    ("tasks/estimators/a.py", "from tasks.results import b"),
    ("tasks/errors.py", "from tasks import console"),
    ("tasks/lra/a.py", "from tasks.images import b"),
    ("tasks/unknown/a.py", "from tasks.data import b"),
    ("tasks/data/a.py", "from tasks import cli"),
    ("tasks/images/a.py", "from tasks import speech"),
    ("tasks/images/a.py", "import tasks.cli"),
    ("tasks/images/a.py", "from tests.reference import b"),
    ("tasks/images/a.py", "def load():\n    import torchaudio"),
    ("tasks/speech/a.py", "import torchaudio"),
    ("tasks/speech/a.py", "class Load:\n    from torchaudio.transforms import MFCC"),
    ("benchmarks/a.py", "from hyperseq._axes import b"),
    ("benchmarks/a.py", "from tasks.data import b"),
]


@pytest.fixture
def project(tmp_path):
    """An empty project with the folders of this one."""
    for folder in ("nn", "functional", "backbones"):
        (tmp_path / "hyperseq" / folder).mkdir(parents=True)
    for folder in ("data", "learning", "runs", "training", "results", "estimators", *GROUPS):
        (tmp_path / "tasks" / folder).mkdir(parents=True)
    (tmp_path / "tasks" / "unknown").mkdir()
    (tmp_path / "benchmarks").mkdir()
    for file in ("hyperseq/_axes.py", "tasks/cli.py"):
        (tmp_path / file).touch()
    return tmp_path


@pytest.mark.parametrize(("file", "code"), GOOD)
def test_what_is_allowed_passes(project, file, code):
    (project / file).write_text(code)
    assert violations(project) == []


@pytest.mark.parametrize(("file", "code"), BAD)
def test_a_planted_violation_is_found(project, file, code):
    (project / file).write_text(code)
    (found,) = violations(project)
    assert found.startswith(f"{file}:")


MOST_MODULES = 14


@pytest.mark.parametrize("top", ["hyperseq", "tasks"])
def test_no_folder_is_crowded(top):
    folders = [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]
    modules = {folder: [file for file in folder.glob("*.py") if file.name != "__init__.py"] for folder in folders}
    assert {str(folder): len(files) for folder, files in modules.items() if len(files) > MOST_MODULES} == {}


@pytest.mark.parametrize("top", ["hyperseq", "tasks"])
def test_every_folder_has_a_row_of_its_own(top):
    packages = {f"{top}.{file.parent.name}" for file in (ROOT / top).glob("*/__init__.py")}
    assert packages - set(MAY_IMPORT) == set()


def test_importing_the_library_warns_of_nothing_and_loads_nothing_of_training():
    code = "import sys, hyperseq; print(*{name.split('.')[0] for name in sys.modules})"
    answer = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert not set(answer.stdout.split()) & {*TRAINING_ONLY, "tasks", "sklearn", "torchmetrics", "soundfile", "yaml"}


@pytest.mark.parametrize("module", PUBLIC_NAMES)
def test_public_names_are_these_and_explain_themselves(module):
    public = importlib.import_module(module)
    names = getattr(public, "__all__", None) or [
        name for name, value in vars(public).items() if getattr(value, "__module__", None) == module and name[0] != "_"
    ]
    assert sorted(names) == PUBLIC_NAMES[module]
    assert [name for name in names if not inspect.getdoc(getattr(public, name))] == []
