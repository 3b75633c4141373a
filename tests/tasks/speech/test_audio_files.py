import struct
import sys

import numpy as np
import pytest
import torch

from tasks.speech.audio_files import AudioError, find_audio_files, read_audio, resample
from tests.tasks.speech.recordings import encode, tone, wav_bytes, write

SAMPLES = tone(440, seconds=0.1, channels=2)
BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 24, "DOUBLE": 24}


@pytest.mark.parametrize("subtype", BITS)
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_of_any_width_is_read_to_one_step_of_its_width(tmp_path, subtype, channels):
    path = write(tmp_path / "a b ü.wav", SAMPLES[:, :channels], rate=44100, subtype=subtype)
    waveform, rate = read_audio(path)
    assert (rate, waveform.dtype, waveform.shape) == (44100, torch.float32, (channels, len(SAMPLES)))
    # One step, and the rounding of float32.
    step = 2.0 ** (1 - BITS[subtype]) + 2**-23
    assert (waveform - torch.from_numpy(SAMPLES[:, :channels]).mT).abs().max() <= step


def test_flac_is_exact_and_ogg_and_mp3_are_near(tmp_path):
    # The encoders round floats differently.
    steps = (2**15 * SAMPLES).astype(np.int16)
    wav = read_audio(write(tmp_path / "a.wav", steps, rate=16000)).waveform
    assert torch.equal(read_audio(write(tmp_path / "a.flac", steps, rate=16000)).waveform, wav)
    for suffix in ("ogg", "mp3"):
        waveform, rate = read_audio(write(tmp_path / f"a.{suffix}", SAMPLES, rate=16000))
        assert rate == 16000 and abs(waveform.shape[1] - len(SAMPLES)) < 2500
        assert waveform.std() == pytest.approx(wav.std().item(), rel=0.3)


def test_a_part_is_that_part_of_the_whole(tmp_path):
    path = write(tmp_path / "a.wav", SAMPLES, rate=1000)
    whole = read_audio(path).waveform
    assert torch.equal(read_audio(path, start=0.1, end=0.3).waveform, whole[:, 100:300])
    with pytest.raises(AudioError) as caught:
        read_audio(path, start=0.5, end=7)
    rule = "start and end must lie in this order in its 0.800 seconds, got 0.5 and 7"
    assert str(caught.value) == f"{path}: {rule}"


def streamed(content: bytes) -> bytes:
    """Return a WAV file as a program writes it to a pipe, with unknown sizes."""
    place = content.index(b"data") + 4
    return content[:4] + b"\xff" * 4 + content[8:place] + b"\xff" * 4 + content[place + 4 :]


def test_a_wav_file_from_a_pipe_is_read():
    content = wav_bytes(SAMPLES)
    assert torch.equal(read_audio(streamed(content)).waveform, read_audio(content).waveform)


WHOLE = wav_bytes(SAMPLES)
BAD = {
    "empty.wav": (b"", "it is empty, 0 bytes"),
    "short.wav": (WHOLE[:1000], "it is truncated: its header announces 3200 bytes of samples, got 956"),
    "header.wav": (WHOLE[:20], "it is truncated: it ends before its samples begin"),
    "none.wav": (wav_bytes(SAMPLES[:0]), "it holds no sample, in 44 bytes"),
    "silent.wav": (wav_bytes(0 * SAMPLES), "it is silent, every sample is 0"),
    "text.wav": (b"Dear reader, this is text.\n", "it is no audio file: it begins with b'Dear reader, thi'"),
    "song.m4a": (
        b"\0\0\0\x20ftypM4A " + bytes(100),
        'this format is not decoded; convert it first, for example: ffmpeg -i "FILE" "FILE.wav"',
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_with_file_and_reason(tmp_path, name):
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError) as caught:
        read_audio(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {reason}"


@pytest.mark.parametrize("seconds", [1, 9])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("W64", "PCM_16"), ("RF64", "PCM_16"),
    ],
)  # fmt: skip
def test_a_truncated_file_of_any_format_is_refused_without_a_word_of_the_decoder(container, subtype, seconds, capfd):
    whole = encode(np.random.default_rng(0).normal(size=(seconds * 8000, 1)) / 9, container, subtype)
    assert read_audio(whole).waveform.shape == (1, seconds * 8000)
    for share in (0.5, 0.9, 0.99):
        with pytest.raises(AudioError, match="^standard input: it (is truncated|cannot be decoded): "):
            read_audio(whole[: int(share * len(whole))])
    assert capfd.readouterr().err == ""


def test_tags_before_and_behind_an_mp3_file_change_nothing():
    whole = encode(SAMPLES, "MP3", "MPEG_LAYER_III")
    tagged = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128) + whole + b"TAG" + bytes(125)
    assert read_audio(tagged).waveform.shape == read_audio(whole).waveform.shape
    with pytest.raises(AudioError, match="it is truncated: its header announces"):
        read_audio(tagged[: len(whole)])


def test_a_sample_that_is_no_number_is_refused(tmp_path):
    samples = SAMPLES.copy()
    samples[7, 1] = np.nan
    path = write(tmp_path / "nan.wav", samples, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan\.wav: it holds NaN or infinity$"):
        read_audio(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(AudioError, match="no.wav: there is no such file$"):
        read_audio(tmp_path / "no.wav")
    with pytest.raises(AudioError, match="it cannot be read: Is a directory$"):
        read_audio(tmp_path)


def test_the_truncation_check_skips_other_chunks():
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    content = WHOLE[:12] + extra + WHOLE[12:]
    assert torch.equal(read_audio(content).waveform, read_audio(WHOLE).waveform)


def test_an_absent_soundfile_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ValueError, match=r"soundfile is not installed: pip install "):
        read_audio(WHOLE)


def test_resampling_keeps_a_tone_and_the_duration():
    waveform = torch.from_numpy(tone(300, seconds=0.5)).mT
    told = resample(waveform, rate=8000, to=16000)
    wanted = torch.sin(2 * torch.pi * 300 * torch.arange(8000) / 16000) / 2
    assert told.shape == (1, 8000)
    assert (told[0, 200:-200] - wanted[200:-200]).abs().max() < 0.1
    assert resample(waveform, rate=8000, to=8000) is waveform


def test_files_of_audio_are_found_below_a_folder_in_order(tmp_path):
    for name in ("b/2.WAV", "b/1.mp3", "a.flac", "a.txt", ".hidden/x.wav", "b/.x.wav", "c.m4a"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio_files(tmp_path)]
    assert found == ["a.flac", "b/1.mp3", "b/2.WAV", "c.m4a"]
