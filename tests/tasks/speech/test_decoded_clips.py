import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tasks.errors import UserError
from tasks.speech.audio_files import AudioError
from tasks.speech.decoded_clips import identify, load_decoded_clips


def decode(name: str, number: int) -> torch.Tensor:
    if number == 3:
        raise AudioError("3.wav", "it is empty, 0 bytes")
    return torch.arange(2 * (number + 1), dtype=torch.float32).reshape(2, -1) + 10 * (number % 4)


def load(folder, *, decode=decode, key=None, items=lambda: range(5)):
    return load_decoded_clips(
        folder,
        key=key or {"rate": 8000},
        items=lambda: ((f"clip {number}", number) for number in items()),
        decode=decode,
        num_items=5,
    )


def test_clips_are_those_that_were_decoded_in_order(tmp_path):
    clips = load(tmp_path)
    assert clips.kept == [0, 1, 2, 4]
    assert clips.names == ["clip 0", "clip 1", "clip 2", "clip 4"]
    assert clips.faults == {3: "3.wav: it is empty, 0 bytes"}
    for number, waveform in zip(clips.kept, clips.waveforms, strict=True):
        assert torch.equal(waveform, decode("", number))
    assert len(set(clips.digests)) == 4


def test_equal_clips_have_equal_digests(tmp_path):
    clips = load(tmp_path, decode=lambda name, number: torch.full((1, 4), float(number % 2)))
    assert clips.digests[0] == clips.digests[2] == clips.digests[4] != clips.digests[1]


def test_clips_are_decoded_once_for_a_key(tmp_path):
    calls = []

    def items():
        calls.append(1)
        return range(5)

    first = load(tmp_path, items=items)
    assert torch.equal(load(tmp_path, items=items).waveforms.values, first.waveforms.values)
    assert len(calls) == 1
    load(tmp_path, items=items, key={"rate": 16000})
    assert len(calls) == 2


def test_a_change_of_a_clip_does_not_reach_the_file(tmp_path):
    load(tmp_path).waveforms[0].zero_().add_(7)
    assert torch.equal(load(tmp_path).waveforms[0], decode("", 0))


def test_a_file_that_changes_has_another_identity(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"1234")
    before = identify(path)
    assert identify(path) == before and json.dumps(before)
    path.write_bytes(b"12345")
    assert identify(path) != before


def test_an_interrupted_decoding_leaves_nothing_that_is_taken(tmp_path):
    def interrupted(name, number):
        if number == 4:
            raise KeyboardInterrupt
        return decode(name, number)

    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, decode=interrupted)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.suffix != ".part"] == []
    assert load(tmp_path).kept == [0, 1, 2, 4]


@pytest.mark.parametrize("name", ["samples.f32", "clips.json"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-3]), Path.unlink])
def test_damaged_clips_are_decoded_again(tmp_path, name, damage):
    expected = [clip.clone() for clip in load(tmp_path).waveforms]
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    damage(folder / name)
    for found, clip in zip(load(tmp_path).waveforms, expected, strict=True):
        assert torch.equal(found, clip)


def test_without_any_good_clip_there_are_only_faults(tmp_path):
    clips = load(tmp_path, items=lambda: [3, 3])
    assert (len(clips.waveforms), clips.kept, list(clips.faults)) == (0, [], [0, 1])


def test_clips_of_other_channels_and_a_place_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(UserError, match="clips must have as many channels each, got 1 and 2"):
        load(tmp_path, decode=lambda name, number: torch.zeros(1 + number, 4))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cache must be a folder that can be written to, got .*file: "):
        load(tmp_path / "file")


def test_two_callers_at_once_decode_once_and_see_the_same(tmp_path):
    calls = []

    def slowly(name, number):
        time.sleep(0.02)
        calls.append(number)
        return torch.full((1, 3), float(number))

    with ThreadPoolExecutor(2) as callers:
        found = list(callers.map(lambda _: load(tmp_path, decode=slowly), range(2)))
    assert sorted(calls) == [0, 1, 2, 3, 4]
    assert torch.equal(found[0].waveforms.values, found[1].waveforms.values)
