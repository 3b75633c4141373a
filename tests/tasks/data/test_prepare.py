import hashlib
import re
import shlex
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

import tasks
from tasks.data import download
from tests.tasks.command import hyperseq
from tests.tasks.data.mirror import Answer, Mirror

PACKAGE = """
from tasks.data.archives import Archive
from tasks.data.data_set import DataSet


def count_samples(root):
    return {{split: len((root / "rows" / f"{{split}}.bin").read_bytes()) for split in ("train", "test")}}


ARCHIVES = (
    Archive("train.bin", ("{mirror}/train.bin",), "{train}"),
    Archive("test.bin", ("{mirror}/test.bin",), "{test}"),
)
DATA_SETS = (DataSet("toys.rows", "rows", ARCHIVES, count_samples, aliases=("others.lines",)),)
"""
CONTENTS = {"train.bin": b"t" * 1234, "test.bin": b"e" * 56}
MD5 = {name: hashlib.md5(content).hexdigest() for name, content in CONTENTS.items()}


@dataclass(frozen=True)
class Rows:
    """A small data set, `toys.rows`, that only this test knows."""

    root: Path
    mirror: Mirror

    @property
    def folder(self):
        return self.root / "rows"

    def put(self, **contents):
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (self.folder / f"{name}.bin").write_bytes(content)

    def put_all(self):
        self.put(train=CONTENTS["train.bin"], test=CONTENTS["test.bin"])

    def files(self):
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        return {file.name: file.read_bytes() for file in files if file.name != ".lock"}

    def prepare(self, *words):
        return hyperseq("data", "prepare", "toys.rows", "--root", self.root, *words)

    def check(self):
        return hyperseq("data", "check", "toys.rows", "--root", self.root)


@pytest.fixture
def rows(mirror, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "tasks/toys"
    (package / "published").mkdir(parents=True)
    code = PACKAGE.format(mirror=mirror.address, train=MD5["train.bin"], test=MD5["test.bin"])
    (package / "__init__.py").write_text(code)
    for name, content in CONTENTS.items():
        mirror.url(f"/{name}", Answer(content))
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(package.parent)])
    yield Rows(tmp_path / "my data", mirror)
    for name in [name for name in sys.modules if name.startswith("tasks.toys")]:
        del sys.modules[name]
    vars(tasks).pop("toys", None)


def table(answer):
    lines = [line for line in answer.out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    return {file: (size, checksum) for file, size, checksum in cells}


ALL_RIGHT = {"train.bin": ("1,234", "right"), "test.bin": ("56", "right")}


# Prepare.


def test_prepare_fetches_all_and_ends_with_the_table_and_the_next_command(rows):
    answer = rows.prepare()
    assert (answer.code, answer.err) == (0, "")
    assert rows.files() == CONTENTS
    assert table(answer) == ALL_RIGHT and f"\n{rows.folder}\n" in answer.out
    assert "samples: 1,234 train, 56 test\n" in answer.out
    command = f"  hyperseq fit --config CONFIG --data.init_args.root '{rows.root}'"
    assert answer.out.splitlines()[-2:] == ["Next:", command]


def test_an_alias_prepares_the_data_set_that_it_stands_for(rows):
    answer = hyperseq("data", "prepare", "others.lines", "--root", rows.root)
    assert answer.code == 0 and rows.files() == CONTENTS and table(answer) == ALL_RIGHT


def test_prepare_names_the_configs_of_the_data_set(rows):
    for name, module in (("b", "rows"), ("a", "rows"), ("c", "rows_of_rows")):
        Path("configs/toys").mkdir(parents=True, exist_ok=True)
        Path(f"configs/toys/{name}.yaml").write_text(f"data:\n  class_path: tasks.toys.{module}.Rows\n")
    told = rows.prepare().out.splitlines()
    assert told[-3:] == [
        "Next:",
        *(f"  hyperseq fit --config configs/toys/{name}.yaml --data.init_args.root '{rows.root}'" for name in "ab"),
    ]


def test_without_a_terminal_there_is_one_plain_line_a_file(rows):
    answer = rows.prepare()
    assert "\r" not in answer.out and "\x1b" not in answer.out
    fetched = [f"{name}: fetched from {rows.mirror.address}/{name}" for name in CONTENTS]
    assert answer.out.splitlines()[:2] == fetched


def test_what_is_there_and_right_is_not_fetched_again(rows):
    rows.put(train=CONTENTS["train.bin"])
    assert rows.prepare().code == 0
    assert rows.mirror.requests == [("/test.bin", None)]
    assert rows.prepare().code == rows.prepare("--replace").code == 0
    assert len(rows.mirror.requests) == 1


def test_a_whole_data_set_needs_no_permission_to_write(rows, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    rows.put_all()
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert rows.prepare().code == 0
    assert {file.name for file in rows.folder.iterdir()} == set(CONTENTS)


def test_a_file_with_a_wrong_checksum_is_never_overwritten_unasked(rows):
    rows.put(train=b"mine")
    answer = rows.prepare()
    assert answer.code == 1
    assert rows.files() == {"train.bin": b"mine"} and rows.mirror.requests == []
    assert table(answer) == {"train.bin": ("4", "wrong"), "test.bin": ("", "missing")}
    got = hashlib.md5(b"mine").hexdigest()
    assert f"train.bin: its MD5 must be {MD5['train.bin']}, got {got}\n" in answer.out
    repair = answer.out.splitlines()[-1]
    assert repair == f"  hyperseq data prepare toys.rows --root '{rows.root}' --replace"
    assert hyperseq(*shlex.split(repair)[1:]).code == 0
    assert rows.files() == CONTENTS


def test_a_download_that_fails_is_an_error_and_leaves_what_is_right(rows):
    url = rows.mirror.url("/test.bin", Answer(status=503))
    answer = rows.prepare()
    assert answer.code == 1
    assert rows.files() == {"train.bin": CONTENTS["train.bin"]}
    assert answer.err == (
        f"hyperseq: error: test.bin could not be fetched:\n  {url}: HTTP 503 Service Unavailable\n"
        f"Try again later, or put the file into {rows.folder} yourself.\n"
    )


def test_ctrl_c_says_how_to_continue(rows, monkeypatch):
    def press(answer):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(download, "_read", press)
        answer = rows.prepare()
    assert answer.code == 130 and rows.files() == {"train.bin.part": b""}
    command = answer.out.splitlines()[-1]
    assert command == f"  hyperseq data prepare toys.rows --root '{rows.root}'"
    assert hyperseq(*shlex.split(command)[1:]).code == 0
    assert rows.files() == CONTENTS


def test_of_two_processes_the_second_waits_and_takes_what_the_first_fetched(rows):
    rows.folder.mkdir(parents=True)
    begun = threading.Event()

    def prepare_slowly():
        with FileLock(rows.folder / ".lock"):
            begun.set()
            time.sleep(0.2)
            rows.put_all()

    first = threading.Thread(target=prepare_slowly)
    first.start()
    assert begun.wait(timeout=10)
    answer = rows.prepare()
    first.join()
    assert answer.code == 0 and table(answer) == ALL_RIGHT
    assert f"Another process prepares {rows.folder}; waiting for it.\n" in answer.out
    assert rows.mirror.requests == []


# Check.


def test_check_passes_and_changes_nothing(rows):
    rows.put_all()
    answer = rows.check()
    assert (answer.code, answer.err) == (0, "")
    assert table(answer) == ALL_RIGHT
    assert answer.out.splitlines()[-1] == "samples: 1,234 train, 56 test"
    assert {file.name for file in rows.folder.iterdir()} == set(CONTENTS) and rows.mirror.requests == []


def test_check_fails_and_names_the_command_that_fetches_what_is_missing(rows):
    rows.put(train=CONTENTS["train.bin"])
    answer = rows.check()
    assert answer.code == 1
    assert table(answer) == {"train.bin": ("1,234", "right"), "test.bin": ("", "missing")}
    assert answer.out.splitlines()[-1] == f"  hyperseq data prepare toys.rows --root '{rows.root}'"
    assert "samples" not in answer.out and rows.mirror.requests == []


def test_check_fails_when_the_archives_cannot_be_read(rows):
    package = Path("tasks/toys/__init__.py")
    code = package.read_text().replace("    return {", "    raise UserError('rows must be 7, got 6')\n    return {")
    package.write_text(f"from tasks.errors import UserError\n{code}")
    rows.put_all()
    answer = rows.check()
    assert (answer.code, answer.err) == (1, "hyperseq: error: rows must be 7, got 6\n")


# What is typed.


@pytest.mark.parametrize("verb", ["prepare", "check"])
def test_a_root_that_is_a_file_is_refused(rows, verb):
    rows.root.write_text("mine")
    answer = hyperseq("data", verb, "toys.rows", "--root", rows.root)
    assert (answer.code, answer.err) == (1, f"hyperseq: error: root must be a folder, got the file {rows.root}\n")
    assert rows.root.read_text() == "mine"


def test_a_root_that_cannot_be_written_to_is_refused(rows):
    rows.root.write_text("no folder")
    answer = hyperseq("data", "prepare", "toys.rows", "--root", rows.root / "data")
    assert answer.code == 1
    told = f"root must be a folder that can be written to, got {rows.root / 'data'}: Not a directory"
    assert answer.err == f"hyperseq: error: {told}\n"


@pytest.mark.parametrize("words", [("toys.row",), ("toys",), ()])
def test_an_unknown_data_set_is_answered_with_those_that_exist(rows, words):
    answer = hyperseq("data", "prepare", *words, "--root", rows.root)
    assert answer.code == 2 and not rows.root.exists()
    known = re.search(r"\{([\w.,]+)\}", answer.err)[1].split(",")
    assert {"toys.rows", "others.lines"} <= set(known)
    assert known == sorted(known)


def test_the_root_is_data_unless_it_is_typed(rows):
    assert hyperseq("data", "prepare", "toys.rows").code == 0
    assert Path("data/rows/train.bin").is_file()


def test_help_names_the_data_sets(rows):
    for verb in ("prepare", "check"):
        answer = hyperseq("data", verb, "--help")
        assert answer.code == 0 and "toys.rows" in answer.out
    assert "\n  data " in hyperseq("--help").out
