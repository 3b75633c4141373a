import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.speech.torchaudio_import import INSTALL_COMMAND, REPAIR_COMMAND, import_torchaudio
from tasks.speech.torchaudio_import import repair as repair_in_this_process

ROOT = Path(__file__).parents[3]
LIBRARIES = ("_torchaudio.abi3.so", "libtorchaudio.abi3.so", "torchaudio_prefixctc.abi3.so")

TORCH = """
from types import SimpleNamespace
__version__ = "2.13.0"
version = SimpleNamespace(cuda={cuda!r})
def zeros(*size): return size
"""
# Like the real one: what is there must load, what is absent is done without.
TORCHAUDIO = """
from pathlib import Path
if list((Path(__file__).parent / "lib").glob("_torchaudio*.so")):
    raise OSError("Could not load this library: _torchaudio.abi3.so")
from . import transforms
"""
TRANSFORMS = "def MFCC(**options): return lambda waveform: waveform\n"


@pytest.fixture
def packages(tmp_path):
    """A torch without CUDA and a torchaudio that fails beside it."""

    def write(path, text=""):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    write("torch/__init__.py", TORCH.format(cuda=None))
    write("torchaudio/__init__.py", TORCHAUDIO)
    write("torchaudio/transforms.py", TRANSFORMS)
    write("torchaudio/lib/__init__.py")
    for library in LIBRARIES:
        write(f"torchaudio/lib/{library}", library)
    return tmp_path


def python(packages, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def repair(packages):
    return python(packages, *REPAIR_COMMAND.split()[1:])


def import_it(packages):
    return python(packages, "-c", "from tasks.speech.torchaudio_import import *; import_torchaudio()")


def libraries(packages):
    return sorted(path.name for path in (packages / "torchaudio/lib").glob("*so*"))


def test_a_failing_import_names_the_repair(packages):
    answer = import_it(packages)
    assert answer.returncode == 1
    message = "ImportError: torchaudio does not load beside torch 2.13.0, which has no CUDA: "
    assert answer.stderr.splitlines()[-1] == message + REPAIR_COMMAND


def test_the_repair_disables_the_libraries_and_says_so_in_one_line(packages):
    answer = repair(packages)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("torchaudio: works now, disabled 3 libraries that need a torch with CUDA in ")
    assert answer.stdout.count("\n") == 1
    assert libraries(packages) == [f"{name}.disabled" for name in LIBRARIES]
    assert import_it(packages).returncode == 0


def test_a_second_repair_changes_nothing(packages):
    repair(packages)
    before = libraries(packages)
    answer = repair(packages)
    assert (answer.returncode, answer.stdout) == (0, "torchaudio: works, nothing to repair\n")
    assert libraries(packages) == before


def test_a_new_installation_over_a_repaired_one_is_repaired_again(packages):
    repair(packages)
    for name in LIBRARIES:
        (packages / "torchaudio/lib" / name).write_text("new")
    assert repair(packages).returncode == 0
    assert libraries(packages) == [f"{name}.disabled" for name in LIBRARIES]
    assert (packages / "torchaudio/lib" / f"{LIBRARIES[0]}.disabled").read_text() == "new"


def test_a_torch_with_cuda_is_left_alone(packages):
    (packages / "torch/__init__.py").write_text(TORCH.format(cuda="13.0"))
    answer = repair(packages)
    assert (answer.returncode, answer.stdout) == (
        0,
        "torchaudio: left as it is, torch is built for CUDA 13.0\n",
    )
    assert libraries(packages) == list(LIBRARIES)
    last_line = import_it(packages).stderr.splitlines()[-1]
    assert "torchaudio does not load beside torch 2.13.0: install the torchaudio that was built for it" in last_line


def test_another_fault_is_reported_and_the_libraries_stay(packages):
    (packages / "torchaudio/transforms.py").write_text("raise OSError('the disk is on fire')")
    answer = repair(packages)
    assert answer.returncode == 1
    assert "torchaudio fails even without its compiled libraries" in answer.stderr
    assert "the disk is on fire" in answer.stderr
    assert libraries(packages) == list(LIBRARIES)


@pytest.mark.parametrize("call", [import_torchaudio, repair_in_this_process])
def test_without_torchaudio_the_extra_is_named(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)  # Python's way of saying that a module is not to be found
    with pytest.raises(ImportError, match=re.escape(f"torchaudio is not installed: {INSTALL_COMMAND}")):
        call()


def test_the_module_itself_imports_no_torchaudio():
    code = "import sys, tasks.speech.torchaudio_import as m; sys.exit('torchaudio' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.skipif(importlib.util.find_spec("torchaudio") is None, reason="torchaudio is not installed")
def test_the_installed_torchaudio_computes_an_mfcc():
    code = (
        "import torch\n"
        "from tasks.speech.torchaudio_import import import_torchaudio\n"
        "options = {'n_fft': 200, 'hop_length': 80, 'n_mels': 20}\n"
        "mfcc = import_torchaudio().transforms.MFCC(sample_rate=8000, n_mfcc=13, melkwargs=options)\n"
        "print(tuple(mfcc(torch.randn(2, 800)).shape))\n"
    )
    answer = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("(2, 13, 11)\n", "")
