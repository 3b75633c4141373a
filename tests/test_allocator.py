import subprocess
import sys

import pytest

from hyperseq import allocator

COUNT_PAGE_FAULTS = """
import resource, sys, torch
from hyperseq.allocator import keep_freed_memory
if "keep" in sys.argv and not keep_freed_memory():
    raise SystemExit("no glibc")
torch.ones(16 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    torch.ones(16 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*arguments):
    command = [sys.executable, "-c", COUNT_PAGE_FAULTS, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if "no glibc" in finished.stderr:
        pytest.skip("the C library is not glibc")
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout)


def test_kept_memory_needs_no_new_pages():
    # a tensor of 64 MiB has 16,384 pages; without the setting, fifty of them touch 819,200 new ones
    assert page_faults("keep") < 5 * 16_384


def test_another_c_library_is_left_alone(monkeypatch):
    class Musl:
        pass

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Musl())
    assert allocator.keep_freed_memory() is False
