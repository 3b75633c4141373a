import zipfile

import pytest
import torch

from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.speech.audio_files import read_audio
from tasks.speech.fsdd import FSDD
from tasks.speech.published import fsdd
from tests.tasks.speech.archives import FSDD_NUMBERS, FSDD_SPEAKERS, write_fsdd


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_fsdd(root)
    return root


def set_up(root, **options):
    data = FSDD(root=root, cache=root / "decoded", **options)
    data.setup()
    return data


def names(data, split):
    return [data.sample_names[index] for index in data.splits[split].index.tolist()]


def test_the_official_test_is_numbers_0_to_4_and_5_to_9_validate(root):
    data = set_up(root)
    check_data_module(data)
    wanted = {"test": range(5), "val": range(5, 10), "train": range(10, FSDD_NUMBERS)}
    for split, numbers in wanted.items():
        assert set(names(data, split)) == {
            f"{digit}_{speaker}_{number}.wav" for digit in range(10) for speaker in FSDD_SPEAKERS for number in numbers
        }
    assert fsdd.count_samples(root) == data.split_sizes == {"train": 40, "val": 100, "test": 100}


def test_a_speaker_is_left_out_for_the_test(root):
    data = set_up(root, test_speaker="theo")
    assert {name.split("_")[1] for name in names(data, "test")} == {"theo"} and data.split_sizes["test"] == 120
    assert {name.split("_")[1] for split in ("train", "val") for name in names(data, split)} == {"george"}
    with pytest.raises(UserError, match="test_speaker must be one of george, jackson, .*, got 'ann'"):
        FSDD(test_speaker="ann")


def test_waveforms_and_classes_are_those_of_the_archive(root):
    data = set_up(root, normalization="none")
    (path,) = fsdd.DATA_SET.find_archives(root)
    with zipfile.ZipFile(path) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/7_theo_3.wav"))
        waveform = read_audio(archive.read(member)).waveform
    row = names(data, "test").index("7_theo_3.wav")
    assert torch.equal(data.splits["test"].x[row], waveform) and data.splits["test"].y[row] == 7


def test_archives_that_are_none_are_named(tmp_path):
    path = tmp_path / "fsdd/free-spoken-digit-dataset-1.0.10.zip"
    path.parent.mkdir()
    path.write_bytes(b"no zip")
    with pytest.raises(UserError, match="zip must be a whole zip archive, got: "):
        set_up(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/recordings/notes.txt", "none")
    with pytest.raises(UserError, match="must hold recordings/<digit>_<speaker>_<number>.wav, got an archive without"):
        set_up(tmp_path)
