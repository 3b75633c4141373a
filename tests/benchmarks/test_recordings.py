import re
import sys

import pytest

from benchmarks import recordings

pytest.importorskip("soundfile")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_clip_and_a_long_recording_are_timed_and_every_window_is_answered(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["recordings"])
    monkeypatch.setattr(recordings, "NUM_CLIPS", 1)
    monkeypatch.setattr(recordings, "MINUTES", 1)
    recordings.main()
    clip, long = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"one second at 16,000 Hz: [\d.]+ ms, median of 1 \(.*\)", clip)
    # A window of a second each half second.
    assert re.fullmatch(r"1 minutes, 119 windows: [\d.]+ s, peak of the process [\d.]+ GiB \([\d.]+ before\)", long)
