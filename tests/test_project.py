import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

import hyperseq

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
MIB = 2**20
# Packages that hold a module of another name.
PACKAGES = {
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "PIL": "pillow",
    "lightning_fabric": "pytorch-lightning",
    "functorch": "torch",
}
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b")  # bracketed so that this line is not found


def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def project_files():
    """Return what git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    # A file that is deleted but not yet committed is still listed.
    return [ROOT / name for name in listed.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # Built in a copy: setuptools leaves its working files beside the sources.
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("hyperseq", "tasks", "tests", "configs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (built,) = (copy / "dist").iterdir()
    with zipfile.ZipFile(built) as archive:
        yield archive


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return the folder into which the wheel is installed, beside the packages of this interpreter."""
    folder = tmp_path_factory.mktemp("installed")
    # Without --ignore-installed, pip takes the command out of the environment that the tests run in.
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-index", "--ignore-installed"]
    before = sorted(Path(sys.executable).parent.iterdir())
    subprocess.run([*command, "--prefix", folder, wheel.filename], check=True, capture_output=True)
    assert sorted(Path(sys.executable).parent.iterdir()) == before
    return folder


def test_the_wheel_is_pure_python(wheel):
    assert Path(wheel.filename).name == f"hyperseq-{hyperseq.__version__}-py3-none-any.whl"


def test_the_wheel_holds_every_module_and_the_types_and_no_test(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name and ".data/" not in name}
    modules = {
        str(file.relative_to(ROOT)) for package in ("hyperseq", "tasks") for file in (ROOT / package).rglob("*.py")
    }
    assert names == modules | {"hyperseq/py.typed", "tasks/bench/published.json"}


def test_the_wheel_holds_every_config(wheel):
    shipped = {name.split("/share/hyperseq/")[1] for name in wheel.namelist() if "/share/hyperseq/" in name}
    assert shipped == {str(file.relative_to(ROOT)) for file in (ROOT / "configs").rglob("*.yaml")}


def test_the_installed_command_works_from_any_folder_beside_a_file_of_the_users_named_tasks(installed, tmp_path):
    (site,) = installed.glob("lib*/python*/site-packages")
    (command,) = installed.glob("[bS]*/hyperseq*")
    (tmp_path / "tasks.py").write_text("raise RuntimeError('the tasks of a user')\n")
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": ""}
    words = [command, "fit", "--config", "images/digits", "--print_config"]
    answer = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert yaml.safe_load(answer.stdout)["run"]["name"] == "digits"


def test_a_bare_install_needs_four_packages(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = Parser().parsestr(wheel.read(name).decode())
    bare = [requirement for requirement in metadata.get_all("Requires-Dist") if "extra ==" not in requirement]
    assert [re.split(r"\W", requirement)[0] for requirement in bare] == [
        "torch",
        "einops",
        "scipy",
        "typing_extensions",
    ]
    assert metadata["Requires-Python"] == ">=3.10"


def test_the_version_is_said_once_and_repeated_right():
    assert pyproject()["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "hyperseq.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == hyperseq.__version__
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest[1] == hyperseq.__version__


def declared(*extras):
    """Return the names of the packages that an installation with these extras asks for, written alike."""
    project = pyproject()["project"]
    wanted = [*project["dependencies"], *(each for name in extras for each in project["optional-dependencies"][name])]
    return {written_alike(re.split(r"[^\w.-]", requirement)[0]) for requirement in wanted}


def written_alike(package):
    return package.lower().replace("_", "-")


def imported(*folders):
    """Return the packages of others that the modules of the folders import, by the names that pip knows."""
    names = set()
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    others = names - set(sys.stdlib_module_names) - {"hyperseq", "tasks", "tests", "benchmarks", "tomllib"}
    return {written_alike(PACKAGES.get(name, name)) for name in others}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("hyperseq", ("pretrained",)),
        ("tasks", ("train", "onnx")),
        ("tasks/speech", ("train", "audio")),
        ("benchmarks", ("train", "audio")),
        ("tests", ("train", "audio", "dev")),
    ],
)
def test_every_package_that_is_imported_is_declared(folder, extras):
    speech = imported("tasks/speech") if folder == "tasks" else set()
    # A benchmark of a peer that needs an environment of its own.
    apart = {"aeon"} if folder == "benchmarks" else set()
    assert imported(folder) - speech - apart <= declared(*extras)


def test_every_package_that_is_declared_is_imported():
    assert declared() <= imported("hyperseq")
    assert declared("train") <= imported("hyperseq", "tasks")


def test_what_make_installs_is_pinned():
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {*declared("train", "audio", "dev"), "pip"} <= set(pins)


def test_no_file_is_large():
    assert [str(file) for file in project_files() if file.stat().st_size > MIB] == []


def test_nothing_is_marked_unfinished():
    marked = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in project_files()
        # in a compressed picture or in weights any three letters can stand by chance
        if file.suffix not in (".png", ".ckpt")
        and (match := UNFINISHED.search(file.read_text(encoding="utf-8", errors="ignore")))
    ]
    assert marked == []
