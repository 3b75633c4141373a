import zipfile

import pytest
import torch

from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.speech.audio_files import read_audio, resample
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


@pytest.mark.parametrize(("test_rate", "protocol"), [(4000, "strided"), (1600, "strided"), (6000, "resampled")])
@pytest.mark.parametrize("options", [{}, {"fill": True, "normalization": "legacy"}])
def test_a_test_at_another_rate_reads_the_normalized_clips_at_that_rate(root, test_rate, protocol, options):
    whole, told, untold = (
        set_up(root, **options, **extra)
        for extra in (
            {},
            {"test_rate": test_rate, "test_protocol": protocol},
            {"test_rate": test_rate, "test_protocol": protocol, "tell_rate": False},
        )
    )
    (first, *_), (found, *_), (plain, *_) = (each.test_dataloader() for each in (whole, told, untold))
    x, length = first["x"][:1], int(first["lengths"][0]) if "lengths" in first else first["x"].shape[-1]
    x = x[..., :length]
    wanted = x[..., :: 8000 // test_rate] if protocol == "strided" else resample(x, rate=8000, to=test_rate)
    assert torch.equal(found["x"][:1, :, : wanted.shape[-1]], wanted)
    assert not found["x"][:1, :, wanted.shape[-1] :].any() and found["rate"] == 8000 / test_rate
    assert torch.equal(plain["x"], found["x"]) and "rate" not in plain
    assert "lengths" not in found or int(found["lengths"][0]) == wanted.shape[-1]
    assert all("rate" not in batch for batch in told.val_dataloader())


def test_tests_at_rates_that_cannot_be_are_refused(root):
    for options, message in (
        ({"test_rate": 3000}, "test_rate must divide sample_rate = 8000 with test_protocol=strided, got 3000"),
        ({"test_rate": 0}, "test_rate must be at least 1, got 0"),
        ({"test_rate": 4000, "test_protocol": "cut"}, "test_protocol must be one of strided, resampled, got 'cut'"),
    ):
        with pytest.raises(UserError, match=message):
            FSDD(**options)
    data = FSDD(root=root, cache=root / "decoded", test_rate=4000)
    with pytest.raises(UserError, match="test_rate must be left to `hyperseq test` of the trained network, got 4000"):
        data.setup("fit")


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
