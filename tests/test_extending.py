"""Follows docs/extending.md in an empty folder, from the first block to the last."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tasks.data.data_module import OPTIONAL, REQUIRED
from tests.tasks.command import hyperseq
from tests.test_docs import CHEAP_FIT, FOLLOWED_WHOLE, SHELL, blocks, commands, section

pytestmark = pytest.mark.usefixtures("blank_pictures")

TEXT = FOLLOWED_WHOLE.read_text(encoding="utf-8")
FILE_NAME = re.compile(r"# (\w+\.(?:py|yaml))(?:$|: )", re.MULTILINE)
RUNS = {"gru", "terminator", "sgd", "kar3", "head", "stack", "patches", "tokens"}


def file_name(block):
    """Return the file that a block is to be saved as, or None."""
    match = FILE_NAME.match(block.code)
    return match and match[1]


def files():
    return {name: block.code for block in blocks(TEXT) if (name := file_name(block))}


def expected_errors():
    """Return the error that a block of text shows, by the line of the shell block before it."""
    found = blocks(TEXT)
    return {
        shell.line: " ".join(text.code.split())
        for shell, text in zip(found, found[1:], strict=False)
        if shell.language in SHELL and text.language == "text"
    }


def type_in(words, error):
    """Do what the document tells to type; `error` is what it says that the command answers."""
    if words[0] == "hyperseq":
        answer = hyperseq(*words[1:], *(CHEAP_FIT if words[1] == "fit" else []))
        assert " ".join(answer.err.split()) == error
        assert (answer.code == 0) == (not error)
    elif words[0] == "python":
        subprocess.run([sys.executable, *words[1:]], check=True)
    else:
        assert words in ([".", ".venv/bin/activate"], ["mkdir", "mine"], ["cd", "mine"]), shlex.join(words)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Stand in an empty folder; modules that are imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in files():
        sys.modules.pop(Path(name).stem, None)


def test_the_document_works_from_top_to_bottom(own_folder):
    errors, names = expected_errors(), {"__name__": "__main__"}
    for block in blocks(TEXT):
        try:
            if name := file_name(block):
                Path(name).write_text(block.code, encoding="utf-8")
            elif block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.code, str(FOLLOWED_WHOLE), "exec"), names)
            elif block.language in SHELL:
                for words in commands(block):
                    type_in(words, errors.get(block.line, ""))
        except Exception as error:
            raise AssertionError(f"{FOLLOWED_WHOLE.name}:{block.line} does not work") from error
    assert {path.parent.parent.name for path in Path("runs").glob("*/*/results.json")} == RUNS
    listed = set(re.findall(r"^\| `(.*?)` \|", section(TEXT, "Train, test, predict"), flags=re.MULTILINE))
    listed = {name for names in listed for name in names.split("`, `")}
    left = {str(path.relative_to("runs/gru/1")) for path in Path("runs/gru/1").rglob("*") if path.is_file()}
    assert left == listed - {"error.txt", "scatter.png"}
    names_and_classes = [line.split(",")[:2] for line in Path("new.csv").read_text().splitlines()]
    assert [name for name, _ in names_and_classes] == ["name", "sequences/fast/000.csv", "sequences/slow/000.csv"]
    assert {name for _, name in names_and_classes[1:]} <= {"fast", "slow"}
    assert names["run"].class_names == ("fast", "slow")
    assert names["probabilities"].shape == (16, 2)


def test_every_block_of_code_is_a_file_a_command_or_python_that_runs():
    assert {block.language for block in blocks(TEXT) if not file_name(block)} <= {"sh", "python", "text"}
    assert len(files()) == sum(file_name(block) is not None for block in blocks(TEXT)), "a file is shown twice"
    for name, code in files().items():
        if name.endswith(".yaml"):
            yaml.safe_load(code)


@pytest.mark.parametrize(("name", "most"), [("gru.py", 25), ("recordings.py", 50)])
def test_a_network_and_a_data_module_are_short(name, most):
    assert len(files()[name].splitlines()) <= most


def test_the_table_names_all_that_a_data_module_must_provide():
    table = section(TEXT, "What a data module must provide")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    named = set(re.findall(r"`(\w+)(?:\(\))?`", " ".join(rows)))
    assert {*REQUIRED, *OPTIONAL, "train_dataloader", "val_dataloader", "test_dataloader"} <= named
    assert {"x", "y", "index", "lengths"} <= named


def test_a_command_that_the_document_does_not_know_is_found():
    with pytest.raises(AssertionError, match="rm -r mine"):
        type_in(["rm", "-r", "mine"], "")
