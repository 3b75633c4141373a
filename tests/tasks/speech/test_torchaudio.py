import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from tasks.speech._torchaudio import import_torchaudio
from tests.tasks.command import ROOT

IMPORT = "from tasks.speech._torchaudio import import_torchaudio; print(import_torchaudio().functional.MFCC)"
# Like the real package: importing it loads the compiled library first.
PACKAGES = {
    "torch/__init__.py": "from types import SimpleNamespace\nversion = SimpleNamespace(cuda={cuda!r})\n",
    "torchaudio/__init__.py": "from . import _extension\nfrom . import functional\n",
    "torchaudio/_extension/__init__.py": "raise {error}\n",
    "torchaudio/functional.py": "from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE, fail_if_no_align\n"
    "@fail_if_no_align\ndef align(): ...\nMFCC = _IS_TORCHAUDIO_EXT_AVAILABLE\n",
}


def imported(folder, *, cuda=None, error="OSError('Could not load this library')", names=tuple(PACKAGES)):
    """Import torchaudio in a fresh interpreter that finds these packages alone."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PACKAGES[name].format(cuda=cuda, error=error))
    command = [sys.executable, "-S", "-B", "-c", IMPORT]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_beside_a_torch_without_cuda_the_libraries_are_done_without_and_no_file_changes(tmp_path):
    answer = imported(tmp_path)
    assert (answer.stdout, answer.stderr) == ("False\n", "")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == sorted(PACKAGES)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cuda": "13.0"}, "OSError: Could not load this library"),
        ({"error": "RuntimeError('other versions')"}, "RuntimeError: other versions"),
        ({"error": "ModuleNotFoundError('No module', name='other')"}, "ModuleNotFoundError: No module"),
    ],
)
def test_any_other_failure_keeps_its_traceback(tmp_path, changed, message):
    answer = imported(tmp_path, **changed)
    assert answer.returncode == 1 and answer.stderr.splitlines()[-1] == message


def test_an_absent_torchaudio_is_told_in_one_line(tmp_path):
    answer = imported(tmp_path, names=["torch/__init__.py"])
    message = "tasks.errors.UserError: torchaudio is not installed: pip install "
    assert answer.stderr.splitlines()[-1].startswith(message)


@pytest.mark.skipif(importlib.util.find_spec("torchaudio") is None, reason="needs torchaudio")
def test_the_features_of_speech_work_with_the_torchaudio_that_is_installed():
    torchaudio = import_torchaudio()
    assert import_torchaudio() is torchaudio
    waveform = torch.randn(1, 8000)
    options = {"n_fft": 400, "hop_length": 200, "n_mels": 40}
    assert torchaudio.transforms.MFCC(8000, 13, melkwargs=options)(waveform).shape == (1, 13, 41)
    assert torchaudio.transforms.MelSpectrogram(8000, **options)(waveform).shape == (1, 40, 41)
    assert torchaudio.functional.resample(waveform, 8000, 4000).shape == (1, 4000)
    assert torchaudio.transforms.SpeedPerturbation(8000, [0.8])(waveform)[0].shape == (1, 10000)


def test_threads_that_import_at_once_see_the_whole_module(tmp_path):
    slow = "import time; time.sleep(0.05)\nfrom torchaudio import _extension\nfunctional = 'all of it'\n"
    for name in PACKAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(PACKAGES[name].format(cuda=None, error="OSError('Could not load this library')"))
    (tmp_path / "torchaudio/__init__.py").write_text(slow)
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from tasks.speech._torchaudio import import_torchaudio\n"
        "with ThreadPoolExecutor(8) as threads:\n"
        "    print({each.functional for each in threads.map(lambda _: import_torchaudio(), range(8))})\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-S", "-B", "-c", code]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("{'all of it'}\n", "")
