import shutil

import pytest
import torch

from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.speech.audio_files import read_audio
from tasks.speech.audio_folder import AudioFolder
from tasks.speech.waveform_augmentation import WaveformAugmentation
from tests.tasks.speech.recordings import tone, wav_bytes, write, write_folder


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "clips")
    return tmp_path / "clips"


def set_up(folder, **options):
    options = {"sample_rate": 8000, "seconds": 0.15, "cache": folder.parent / "cache", "batch_size": 4} | options
    data = AudioFolder(root=folder, **options)
    data.setup()
    return data


def names(data, split):
    return [data.sample_names[index].rpartition("/")[2] for index in data.splits[split].index.tolist()]


def test_a_folder_for_each_class_can_be_trained_on(folder):
    data = set_up(folder)
    check_data_module(data)
    assert data.class_names == ("high", "low")
    assert data.split_sizes == {"train": 14, "val": 2, "test": 4}
    assert (data.in_channels, data.size, data.sample_rate) == (1, (1200,), 8000)


def test_inputs_are_the_files_normalized_by_the_training_split(folder):
    data = set_up(folder, seconds=1.0)
    paths = [folder.parent / data.sample_names[index] for index in data.splits["train"].index]
    train = torch.cat([read_audio(path).waveform[0] for path in paths])
    std, mean = torch.std_mean(train.double(), correction=0)
    assert data.learnt["mean"] == pytest.approx(mean.item()) and data.learnt["std"] == pytest.approx(std.item())
    batch = next(iter(data.test_dataloader()))
    for x, index, length in zip(batch["x"], batch["index"], batch["lengths"], strict=True):
        waveform = read_audio(folder.parent / data.sample_names[index]).waveform
        torch.testing.assert_close(x[:, :length], ((waveform - mean) / std).float())


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"sample_rate": 4000}, "sample_rate must be 8000, with which the weights were trained, got 4000"),
        ({"normalization": "none"}, "normalization must be global, with which the weights were trained, got none"),
        ({"seconds": 0.1}, "seconds must give the 1200 samples of the trained weights, got 800"),
    ],
)
def test_clips_of_another_form_than_the_trained_weights_know_are_refused(folder, changed, told):
    normalization = "per_time_step" if "seconds" in changed else "global"
    options = {"sample_rate": 8000, "seconds": 0.15, "normalization": normalization, "fill": True}
    options["cache"] = folder.parent / "cache"
    trained, other = (AudioFolder(root=folder, **each) for each in (options, options | changed))
    trained.setup()
    other.load_state_dict(trained.state_dict())
    with pytest.raises(ValueError, match=told):
        other.setup()


def test_clips_longer_than_the_window_are_cut_to_their_middle_and_in_training_anywhere(folder):
    plain = set_up(folder, seconds=0.05, normalization="none", batch_size=20)
    batch = next(iter(plain.test_dataloader()))
    for x, index in zip(batch["x"], batch["index"], strict=True):
        waveform = read_audio(folder.parent / plain.sample_names[index]).waveform
        start = (waveform.shape[1] - 400 + 1) // 2
        assert torch.equal(x, waveform[:, start : start + 400])
    loader = plain.train_dataloader()
    first = next(iter(loader))
    loader.sampler.set_epoch(1)
    second = next(iter(loader))
    order, other = first["index"].argsort(), second["index"].argsort()
    assert torch.equal(first["index"][order], second["index"][other])
    assert not torch.equal(first["x"][order], second["x"][other])


def test_shorter_clips_are_filled_with_zeros_where_the_window_is_filled(folder):
    data = set_up(folder, seconds=0.25, fill=True, normalization="none")
    batch = next(iter(data.test_dataloader()))
    assert batch["x"].shape == (4, 1, 2000) and "lengths" not in batch
    length = read_audio(folder.parent / data.sample_names[batch["index"][0]]).waveform.shape[1]
    assert batch["x"][0, 0, length - 1] != 0 and not batch["x"][0, 0, length:].any()


@pytest.mark.parametrize(("normalization", "scale", "eps"), [("per_time_step", 1.0, 1e-5), ("legacy", 2.0**-15, 1e-5)])
def test_each_time_step_is_normalized_alone_as_older_papers_do(folder, normalization, scale, eps):
    data, plain = (set_up(folder, seconds=0.12, fill=True, normalization=name, batch_size=14)
                   for name in (normalization, "none"))  # fmt: skip

    def train(module):
        return torch.cat([module._window().normalize(clip)[None] for clip in module.splits["train"].x])

    raw = scale * train(plain).double()
    wanted = (raw - raw.mean(dim=0)) / (raw.std(dim=0, correction=0) + eps)
    torch.testing.assert_close(train(data), wanted.float(), rtol=1e-4, atol=1e-4)


def test_augmented_batches_do_not_depend_on_workers(folder):
    augmentation = WaveformAugmentation(speed=0.1, shift=0.01, gain=3.0)
    batches = [
        next(iter(set_up(folder, augmentation=augmentation, num_workers=workers).train_dataloader()))
        for workers in (0, 1)
    ]
    assert all(torch.equal(batches[0][key], batches[1][key]) for key in batches[0])
    plain = next(iter(set_up(folder).train_dataloader()))
    assert not torch.equal(plain["lengths"], batches[0]["lengths"])


def test_groups_come_into_one_split(folder):
    data = set_up(folder, group_by=r"^(speaker\d)")
    speakers = {split: {name[:8] for name in names(data, split)} for split in data.splits}
    assert not speakers["train"] & speakers["val"] and not speakers["train"] & speakers["test"]
    assert not speakers["val"] & speakers["test"]


def test_equal_files_come_into_one_split(folder):
    for number in range(8):
        shutil.copy(folder / "low/speaker0-0.wav", folder / f"low/copy{number}.wav")
    data = set_up(folder)
    copies = {split for split in data.splits for name in names(data, split) if name.startswith("copy")}
    assert len(copies) == 1


def write_table(folder, lines, header="path,label,split"):
    path = folder.parent / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def rows(splits=("train", "train", "val", "test")):
    return [
        f"{name}/speaker{number}-{number}.wav,{name},{split}"
        for name in ("high", "low")
        for number, split in enumerate(splits)
    ]


def test_a_table_says_which_split_a_clip_is_in(folder):
    data = set_up(folder, table=write_table(folder, rows()))
    assert data.split_sizes == {"train": 4, "val": 2, "test": 2}
    assert names(data, "test") == ["speaker3-3.wav"] * 2


def test_a_table_says_which_part_of_a_file_a_clip_is_and_parts_of_a_file_come_into_one_split(folder):
    lines = []
    for file in range(10):
        write(folder / f"long{file}.wav", tone(300, seconds=0.4, seed=file))
        lines += [f"long{file}.wav,{'ab'[part % 2]},{part / 10},{part / 10 + 0.1}" for part in range(4)]
    data = set_up(folder, table=write_table(folder, lines, "path,label,start,end"), normalization="none")
    clip = data.splits["train"].x[1]
    file, _, part = data.sample_names[data.splits["train"].index[1]].rpartition("[")
    start = float(part.partition("-")[0])
    assert torch.equal(clip, read_audio(folder.parent / file, start=start, end=start + 0.1).waveform)
    files = [{name.partition("[")[0] for name in names(data, split)} for split in data.splits]
    assert [len(each) for each in files] == [7, 1, 2] and len(set.union(*files)) == 10


def test_parts_of_one_file_in_two_splits_are_refused(folder):
    lines = [*rows(), "low/speaker0-0.wav,low,test"]
    lines[4] += ",0,0.05"
    lines[-1] += ",0.02,0.07"
    lines[:4], lines[5:8] = [line + ",," for line in lines[:4]], [line + ",," for line in lines[5:8]]
    table = write_table(folder, lines, "path,label,split,start,end")
    with pytest.raises(UserError, match=r"got one file in train and test: .*-0.wav\[0-0.05s\] and .*\[0.02-0.07s\]$"):
        set_up(folder, table=table)


def test_folds_without_a_choice_of_one_are_refused(folder):
    lines = [f"{name}/speaker{n}-{n}.wav,{name},{n}" for name in ("high", "low") for n in range(4)]
    with pytest.raises(UserError, match="^test_fold must be one of 0, 1, 2, 3 for a table with folds and no splits"):
        set_up(folder, table=write_table(folder, lines, "path,label,fold"))


def test_a_file_that_a_table_misses_is_told_with_the_folder_of_its_paths(folder):
    with pytest.raises(UserError, match=rf"^table, whose paths are relative to {folder}, must hold .*, got 1 of 2"):
        set_up(folder, table=write_table(folder, ["nowhere.wav,a", "low/speaker0-0.wav,b"], "path,label"))


def test_a_fold_tests_the_next_one_validates(folder):
    lines = [f"{name}/speaker{n % 5}-{n}.wav,{name},{n % 5 + 1}" for name in ("high", "low") for n in range(10)]
    table = write_table(folder, lines, "path,label,fold")
    data = set_up(folder, table=table, test_fold=5)
    speakers = {split: sorted({name[7] for name in names(data, split)}) for split in data.splits}
    assert speakers == {"train": ["1", "2", "3"], "val": ["0"], "test": ["4"]}
    with pytest.raises(UserError, match="test_fold must be one of the folds 1, 2, 3, 4, 5, got 6"):
        set_up(folder, table=table, test_fold=6)


BAD_FILES = {
    "empty.wav": b"",
    "short.wav": wav_bytes(tone(300))[:500],
    "text.wav": b"no audio at all",
}


def test_each_bad_file_is_named_once_or_left_out_and_listed(folder, capsys):
    for name, content in BAD_FILES.items():
        (folder / "low" / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        set_up(folder)
    message = str(caught.value)
    assert message.startswith(f"root, {folder}, must hold files that can be decoded, got 3 of 23 files that cannot "
                              "(on_bad_file: skip leaves them out):\n  ")  # fmt: skip
    assert [message.count(f"/low/{name}: ") for name in BAD_FILES] == [1, 1, 1] and message.count("\n") == 3
    data = set_up(folder, on_bad_file="skip")
    assert sum(data.split_sizes.values()) == 20
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "3 of 23 files cannot be decoded and are left out:" and len(printed) == 4


def test_two_clips_are_too_few_to_split(folder):
    for name in ("high", "low"):
        for path in sorted((folder / name).iterdir())[1:]:
            path.unlink()
    with pytest.raises(UserError, match="^files must be at least one for each of train, val, test, got 2$"):
        set_up(folder)


def test_files_of_any_rate_width_and_channels_come_to_one_rate(folder):
    for name in ("high", "low"):
        shutil.rmtree(folder / name)
    kinds = {"a.wav": (8000, 1, "PCM_U8"), "b.wav": (44100, 2, "PCM_24"), "c.wav": (48000, 1, "FLOAT"),
             "d e ü.flac": (16000, 2, "PCM_16"), "f.ogg": (22050, 1, "VORBIS")}  # fmt: skip
    for label, name in enumerate(("x", "y")):
        for seed, (file, (rate, channels, subtype)) in enumerate(kinds.items()):
            for seconds in (0.01, 0.2):
                samples = tone(200 + 300 * label, seconds=seconds, rate=rate, channels=channels, seed=seed)
                write(folder / name / f"{seconds}{file}", samples, rate=rate, subtype=subtype)
    data = set_up(folder, sample_rate=8000)
    lengths = torch.cat([split.x.lengths for split in data.splits.values()]).tolist()
    assert sorted(round(length, -1) for length in lengths) == [80] * 10 + [1600] * 10
    with pytest.raises(UserError) as caught:
        set_up(folder, channels=2)
    faults = str(caught.value).splitlines()[1:]
    assert len(faults) == 12 and not any("b.wav" in fault or "ü.flac" in fault for fault in faults)
    assert faults[0].endswith("/x/0.01a.wav: it must have the 2 of the option channels, got 1")


def test_samples_of_a_new_file_are_as_those_of_the_training(folder):
    data = set_up(folder)
    fresh = AudioFolder(root=folder, sample_rate=8000, seconds=0.15)
    fresh.load_state_dict(data.state_dict())
    path = folder / "low/speaker0-0.wav"
    (name, x), = fresh.read_samples(path).items()  # fmt: skip
    split, row = next((split, row) for split in data.splits for row, index in enumerate(data.splits[split].index)
                      if data.sample_names[index] == str(path))  # fmt: skip
    assert name == str(path)
    assert torch.equal(x, data.normalize(data.splits[split].x[row]))


def test_a_long_file_is_read_in_windows_that_overlap_by_half(folder):
    data = set_up(folder, normalization="none")
    path = write(folder.parent / "long.wav", tone(300, seconds=0.4))
    windows = data.read_samples(path)
    waveform = read_audio(path).waveform
    assert list(windows) == [f"{path}[{start}-{start + 150}ms]" for start in (0, 75, 150, 225, 250)]
    for start, x in zip((0, 600, 1200, 1800, 2000), windows.values(), strict=True):
        assert torch.equal(x, waveform[:, start : start + 1200])
    with pytest.raises(UserError, match="^there is no such file$"):
        data.read_samples(folder / "no.wav")


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (["a.wav,x"], "path,lable", "table must have the columns path and label, and may have split, group, fold, "
                                    "start, end, got path, lable"),
        ([], "path,label", "table must have a row for each clip, got none in "),
        (["a.wav"], "path,label", "table.csv line 2 must have 2 columns"),
        (["a.wav,x", ",y"], "path,label", "path must be filled in, got none in .*table.csv line 3"),
        (["a.wav,x,dev"], "path,label,split", "split must be one of train, val, test, got 'dev' in "),
        (["a.wav,x,1s"], "path,label,start", "start must be seconds, got '1s' in "),
        (rows(("train", "train", "val", "val")), "path,label,split", "split must name clips for test, got none"),
        ([*rows(), "high/speaker3-3.wav,low,test"], "path,label,split", "table.csv line 10 must name another clip than "
                                                                       "the lines before, got .*3-3.wav again"),
    ],
)  # fmt: skip
def test_a_table_that_breaks_a_rule_is_named(folder, lines, header, message):
    with pytest.raises(UserError, match=message):
        set_up(folder, table=write_table(folder, lines, header))


def test_the_same_content_in_two_splits_is_refused(folder):
    shutil.copy(folder / "low/speaker0-0.wav", folder / "low/other.wav")
    table = write_table(folder, [*rows(), "low/other.wav,low,test"])
    with pytest.raises(UserError) as caught:
        set_up(folder, table=table)
    assert str(caught.value) == (
        "a split must share nothing with another, got the same content in train and test: "
        f"{folder / 'low/speaker0-0.wav'} and {folder / 'low/other.wav'}"
    )


def test_the_same_content_with_two_labels_is_refused(folder):
    shutil.copy(folder / "low/speaker0-0.wav", folder / "high/other.wav")
    with pytest.raises(UserError, match="^content must have one label, got high and low for "):
        set_up(folder)


def test_one_group_in_two_splits_is_refused(folder):
    table = write_table(folder, [line + ",ann" for line in rows()], "path,label,split,group")
    with pytest.raises(UserError, match="got one group in train and val: "):
        set_up(folder, table=table)


def test_folders_that_are_no_data_set_are_named(tmp_path, folder):
    with pytest.raises(UserError, match="root must be a folder with one folder for each class, got .*no"):
        set_up(tmp_path / "no")
    (folder / "none").mkdir()
    with pytest.raises(UserError, match="root must hold audio files in each of its folders, got none in .*none"):
        set_up(folder)
    for name in ("none", "low"):
        shutil.rmtree(folder / name)
    with pytest.raises(UserError, match="root must hold at least 2 classes, got 1 in "):
        set_up(folder)
    with pytest.raises(
        UserError, match="group_by must be found in the path of each file, got '\\(x\\)' and 'speaker0-0"
    ):
        set_up(folder, group_by="(x)")


def test_options_out_of_range_are_named(folder):
    for options, message in [
        ({"sample_rate": 0}, "sample_rate must be at least 1, got 0"),
        ({"seconds": 0.0}, "seconds must hold at least 1 sample at 8000 Hz, got 0.0"),
        ({"channels": 0}, "channels must be mono or at least 1, got 0"),
        ({"normalization": "legacy"}, "fill must be true with normalization=legacy, got false"),
        ({"group_by": "("}, r"group_by must be a regular expression, got '\('"),
        ({"group_by": "a"}, "group_by must have a parenthesis around the group, got 'a'"),
    ]:
        with pytest.raises(UserError, match=message):
            set_up(folder, **options)
