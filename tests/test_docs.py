import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.tasks.images.archives import WRITERS
from tests.tasks.series.files import write_own
from tests.tasks.speech.archives import write_recordings
from tests.test_project import pyproject

pytestmark = pytest.mark.usefixtures("blank_pictures")

ROOT = Path(__file__).parents[1]
SHELL = ("sh", "bash", "console")
LANGUAGES = ("python", "text", "yaml", *SHELL)
# A training that a reader starts takes minutes; here one epoch of two batches shows that the command is right.
CHEAP_FIT = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2"]
READING_LIST_LENGTH = 6
LINE_LENGTH = 120
# Each of its blocks needs the blocks above it: tests/test_extending.py follows it from top to bottom.
FOLLOWED_WHOLE = ROOT / "docs/extending.md"


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is the number of its first line of code."""

    language: str
    line: int
    code: str


def documents(root=ROOT):
    files = [
        root / "README.md",
        root / "CONTRIBUTING.md",
        root / "CHANGELOG.md",
        *sorted((root / "docs").rglob("*.md")),
    ]
    return [file for file in files if file.is_file()]


def followed_by_block():
    return [file for file in documents() if file != FOLLOWED_WHOLE]


def blocks(text):
    found, opening = [], None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if opening is None:
            opening = number
            continue
        language = lines[opening].strip().removeprefix("```").strip()
        code = textwrap.dedent("\n".join(lines[opening + 1 : number]))
        found.append(Block(language, opening + 2, code + "\n"))
        opening = None
    if opening is not None:
        raise AssertionError(f"line {opening + 1}: a fence is not closed")
    return found


def prose(text):
    """Return the text with the code blocks blanked out."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(block):
    """Yield the commands of a shell block; in a console block only lines after a prompt are typed."""
    lines = block.code.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        for command in re.split(r"&&|;", line):
            if words := shlex.split(command, comments=True):
                yield words


def section(text, title):
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL | re.IGNORECASE)
    assert match, f"no section {title!r}"
    return match[1]


def links(text):
    """Return the targets of links and images that point into the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [target for target in targets if not re.match(r"[a-z]+:|#", target)]


def numbered_links(text):
    """Return what the items of a numbered list begin with a link to."""
    return re.findall(r"^\d+\. \[[^]]*\]\(([^)\s]+)\)", text, flags=re.MULTILINE)


def long_lines(text):
    """Return the numbers of lines that are too long; a row of a table, or a line that is one link, cannot be broken."""
    return [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > LINE_LENGTH and not line.startswith("|") and not re.fullmatch(r"\W*\[[^]]*\]\(\S+\)\S*", line)
    ]


def broken_links(file):
    targets = [target.split("#")[0] for target in links(file.read_text(encoding="utf-8"))]
    return [target for target in targets if not (file.parent / target).exists()]


def run_python(file):
    namespace = {"__name__": "__main__"}
    for block in blocks(file.read_text(encoding="utf-8")):
        if block.language == "python":
            # The empty lines make tracebacks name the line of the document.
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, str(file), "exec"), namespace)


def make_targets():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^make (\w+)", listed, flags=re.MULTILINE)


class Reader:
    """Does what a document tells to type, from the root of a checkout: `folder` stands in for one."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(ROOT / "configs", folder / "configs")
        shutil.copytree(ROOT / "results/models", folder / "results/models")
        for write in WRITERS:
            write(folder / "data")
        np.save(folder / "new.npy", np.full((2, 8, 8), 7))
        write_own(folder / "data")
        write_recordings(folder / "data")
        for name in ("my.npz", "my_new.npz"):
            shutil.copy(folder / "data/my.npz", folder / name)

    def follow(self, words):
        program = Path(words[0]).name if words[0].startswith(".venv/bin/") else words[0]
        action = {
            "cd": self.accept,
            "git": self.git,
            "make": self.make,
            "pip": self.pip,
            "pytest": self.pytest,
            "python": self.python,
            "hyperseq": self.hyperseq,
            ".": self.activate,
            "source": self.activate,
            ".ci/run": self.accept,
        }.get(program)
        assert action, f"no test knows what {shlex.join(words)!r} does"
        action(words[1:])

    def accept(self, arguments):
        pass

    def git(self, arguments):
        assert arguments[:1] == ["clone"], f"git {shlex.join(arguments)} is not tested"

    def activate(self, arguments):
        assert arguments == [".venv/bin/activate"]

    def make(self, arguments):
        targets = [word for word in arguments if "=" not in word]
        assert set(targets) <= set(make_targets()), f"make help does not list all of {targets}"
        # What an outer make passes on would change what this one does.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        subprocess.run(["make", "-n", *arguments], cwd=ROOT, env=environment, capture_output=True, check=True)

    def pip(self, arguments):
        assert arguments[:1] == ["install"]
        options = [word for word in arguments[1:] if word.startswith("-")]
        assert set(options) <= {"-e", "--editable"}, f"pip options {options} are not tested"
        for word in arguments[1:]:
            if word not in options:
                match = re.fullmatch(r"(?:hyperseq|\.)(?:\[([\w,]+)\])?(?: @ git\+https://\S+)?", word)
                assert match, f"pip install {word} is not tested"
                extras = set(match[1].split(",")) if match[1] else set()
                assert extras <= set(pyproject()["project"]["optional-dependencies"]), f"no such extra: {word}"

    def python(self, arguments):
        if len(arguments) == 1 and (self.folder / arguments[0]).is_file():
            subprocess.run([sys.executable, *arguments], cwd=self.folder, check=True)
            return
        assert arguments[:1] == ["-m"], f"python {shlex.join(arguments)} is not tested"
        if arguments[1] == "pytest":
            self.pytest(arguments[2:])
        else:
            assert importlib.util.find_spec(arguments[1]), f"no module {arguments[1]}"

    def pytest(self, arguments):
        paths = [word.split("::")[0] for word in arguments if "/" in word]
        assert [path for path in paths if not (ROOT / path).exists()] == []

    def hyperseq(self, arguments):
        from tasks.cli import main
        from tasks.data.data_set import find_data_sets

        if arguments[0] == "data":
            # Fetching would need the network; that it works is tested beside its code.
            verb, name, *options = arguments[1:]
            assert verb in ("prepare", "check") and name in find_data_sets(), f"hyperseq {shlex.join(arguments)} failed"
            assert set(options[::2]) <= {"--root"}, f"hyperseq data {verb} does not know all of {options}"
            return
        if arguments[0] == "bench" and "--show" not in arguments:
            # What a benchmark does with its trainings is tested beside its code.
            arguments = [*arguments, "--show"]
        for argument in arguments:
            self.provide_run(argument)
        cheap = CHEAP_FIT if arguments[0] == "fit" and "--help" not in arguments else []
        assert main([*arguments, *cheap]) == 0, f"hyperseq {shlex.join(arguments)} failed"

    def provide_run(self, argument):
        """Train for the run folder that a command names; the document's reader has one by then."""
        match = re.match(r"runs/(\w+)", argument)
        if match and not (self.folder / match[0]).exists():
            (config,) = Path("configs").rglob(f"{match[1]}.yaml")
            self.hyperseq(["fit", "--config", str(config)])


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def follow(reader, monkeypatch):
    monkeypatch.chdir(reader.folder)
    return reader.follow


def document_cases(read):
    """Return the blocks that `read` finds in each document as cases, named by file and line."""
    return [
        pytest.param(block, id=f"{file.relative_to(ROOT)}:{block.line}")
        for file in followed_by_block()
        for block in read(file.read_text(encoding="utf-8"))
    ]


def shell_blocks(text):
    return [block for block in blocks(text) if block.language in SHELL]


def yaml_blocks(text):
    return [block for block in blocks(text) if block.language == "yaml"]


def each_of(files):
    return pytest.mark.parametrize("file", files, ids=lambda file: str(file.relative_to(ROOT)))


each_document = each_of(documents())


@each_document
def test_blocks_name_a_language_that_a_test_reads(file):
    assert {block.language for block in blocks(file.read_text(encoding="utf-8"))} <= set(LANGUAGES)


@each_of(followed_by_block())
def test_python_blocks_run(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python(file)


@pytest.mark.parametrize("block", document_cases(shell_blocks))
def test_commands_work(block, follow):
    for words in commands(block):
        follow(words)


@pytest.mark.parametrize("block", document_cases(yaml_blocks))
def test_yaml_blocks_parse(block):
    yaml.safe_load(block.code)


@each_document
def test_links_lead_somewhere(file):
    assert broken_links(file) == []


@each_document
def test_no_line_is_too_long(file):
    assert long_lines(file.read_text(encoding="utf-8")) == []


@each_document
def test_make_targets_named_in_the_text_exist(file):
    named = re.findall(r"`make (\w+)`", prose(file.read_text(encoding="utf-8")))
    assert set(named) <= set(make_targets())


def test_the_reading_list_has_six_files():
    files = numbered_links(section((ROOT / "README.md").read_text(encoding="utf-8"), "Reading list"))
    assert len(set(files)) == len(files) == READING_LIST_LENGTH
    assert all((ROOT / file).is_file() for file in files)


def test_ci_runs_the_test_command_of_the_readme():
    ci = ROOT / ".ci/run"
    assert os.access(ci, os.X_OK)
    readme = blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    typed = [words for block in readme if block.language in SHELL for words in commands(block)]
    assert ["make", "test"] in typed
    made = [line.strip() for line in ci.read_text(encoding="utf-8").splitlines() if line.strip().startswith("make ")]
    assert made == ["make lint", "make test", 'make lint PYTHON="$python"', 'make test PYTHON="$python"']


# The machinery above, on planted documents.

PLANTED = """# Title

See [the code](hyperseq/nn/a.py#L3), [a page](https://example.org), [below](#end) and `make test`.

```python
import torch
x = torch.ones(2)
```

- In a list:
  ```sh
  make demo && cd runs  # with a remark
  hyperseq fit \\
    --config a.yaml
  ```

```python
x.sum().backward
```

```console
$ pip install "hyperseq[train]"
some output
```

## Reading list

Some words, with a link [elsewhere](b.py).

1. [first](a.py): what it is

## End
"""


def test_blocks_are_found_with_language_and_line():
    found = [(block.language, block.line) for block in blocks(PLANTED)]
    assert found == [("python", 6), ("sh", 12), ("python", 18), ("console", 22)]


def test_commands_are_split_and_freed_of_remarks_prompts_and_output():
    typed = [words for block in blocks(PLANTED) if block.language in SHELL for words in commands(block)]
    fit = ["hyperseq", "fit", "--config", "a.yaml"]
    assert typed == [["make", "demo"], ["cd", "runs"], fit, ["pip", "install", "hyperseq[train]"]]


def test_an_open_fence_is_refused():
    with pytest.raises(AssertionError, match="line 1: a fence is not closed"):
        blocks("```python\nx = 1\n")


def test_links_into_the_project_are_found_and_checked(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(PLANTED)
    assert broken_links(file) == ["hyperseq/nn/a.py", "b.py", "a.py"]
    for name in ("a.py", "b.py"):
        (tmp_path / name).touch()
    assert broken_links(file) == ["hyperseq/nn/a.py"]


def test_a_long_line_is_found_and_tables_and_links_are_excepted():
    long = "word " * 30
    text = f"short\n{long}\n| {long} |\n- [{long}](a.md).\n[a](b.md) {long}\n"
    assert long_lines(text) == [2, 5]


def test_a_section_ends_where_the_next_begins():
    assert links(section(PLANTED, "Reading list")) == ["b.py", "a.py"]
    assert numbered_links(section(PLANTED, "Reading list")) == ["a.py"]
    with pytest.raises(AssertionError, match="no section 'Missing'"):
        section(PLANTED, "Missing")


def test_blocks_share_their_names_and_a_mistake_is_found_at_its_line(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(PLANTED)
    run_python(file)
    file.write_text(PLANTED.replace("x.sum()", "y.sum()"))
    with pytest.raises(NameError) as caught:
        run_python(file)
    assert caught.traceback[-1].lineno + 1 == 18


def test_a_warning_in_a_document_is_an_error(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("```python\nimport warnings\nwarnings.warn('old')\n```\n")
    with pytest.raises(UserWarning, match="old"):
        run_python(file)


@pytest.mark.parametrize(
    "command",
    [
        "make test",
        'make test ARGS="-k conv"',
        'pip install ".[train,audio]"',
        "pip install -e .",
        "git clone https://example.org/hyperseq",
        ". .venv/bin/activate",
        "python -m pytest tests/test_docs.py",
        ".venv/bin/pytest tests/test_docs.py::test_commands_work",
        "python -m benchmarks.depth --plain-start",
        "hyperseq data prepare images.mnist --root data",
        ".venv/bin/hyperseq --help",
    ],
)
def test_a_good_command_passes(command, follow):
    follow(shlex.split(command))


@pytest.mark.parametrize(
    "command",
    [
        "make coffee",
        'pip install "hyperseq[everything]"',
        "pip install torch",
        "git push",
        "source venv/bin/activate",
        "python -m tasks.nowhere",
        "python train.py",
        "pytest tests/nowhere.py",
        "hyperseq fit --config configs/nowhere.yaml",
        "hyperseq data prepare images.nowhere",
        "hyperseq fit --config configs/images/digits.yaml --model.no_such_key 1",
        "curl https://example.org",
    ],
)
def test_a_bad_command_is_found(command, follow):
    with pytest.raises(AssertionError):
        follow(shlex.split(command))


def test_a_run_that_a_command_names_is_trained_first_and_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)
    reader.follow(["hyperseq", "test", "--config", "runs/digits/1/config.yaml"])
    reader.follow(["hyperseq", "results", "runs/digits"])
    assert [path.name for path in Path("runs/digits").iterdir()] == ["1"]
