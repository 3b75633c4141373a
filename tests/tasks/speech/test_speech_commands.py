import pytest
import torch
from sklearn.model_selection import train_test_split

from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.speech.published import speech_commands as published
from tasks.speech.published.speech_commands import WORDS_10
from tasks.speech.speech_commands import SILENCE, UNKNOWN, SpeechCommands
from tests.tasks.images.archives import write_tar
from tests.tasks.speech.archives import SC_EACH, SC_OTHERS, SC_SHORT, SC_SPEAKERS, write_speech_commands


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_speech_commands(root)
    return root


def set_up(root, **options):
    data = SpeechCommands(root=root, cache=root / "decoded", batch_size=64, **options)
    data.setup()
    check_data_module(data)
    return data


def names(data, split):
    return [data.sample_names[index] for index in data.splits[split].index.tolist()]


def test_all_words_are_split_by_the_official_lists_and_noise_is_no_class(root):
    data = set_up(root)
    assert data.class_names == tuple(sorted((*WORDS_10, *SC_OTHERS)))
    for split, speaker in SC_SPEAKERS.items():
        assert {name.partition("/")[2].partition("_")[0] for name in names(data, split)} == {speaker}
        assert len(names(data, split)) == 12 * SC_EACH
        words = [data.class_names[label] for label in data.splits[split].y.tolist()]
        assert words == [name.partition("/")[0] for name in names(data, split)]
    assert published.count_samples(root) == data.split_sizes


def test_clips_are_a_second_with_zeros_at_the_end_of_shorter_ones(root):
    data = set_up(root, normalization="none")
    assert (data.size, data.sample_rate) == ((16000,), 16000)
    batch = next(iter(data.test_dataloader()))
    assert batch["x"].shape == (64, 1, 16000) and "lengths" not in batch
    for x, index in zip(batch["x"], batch["index"].tolist(), strict=True):
        short = data.sample_names[index].endswith(f"_{SC_SHORT}.wav")
        assert x[0, 12800:].any().item() is not short and x[0, :12800].any()


def test_ten_words_are_the_whole_seconds_split_as_scikit_learn_does(root):
    data = set_up(root, words=10)
    assert data.class_names == WORDS_10
    whole = [
        f"{word}/{speaker}_nohash_{number}.wav"
        for word in WORDS_10
        for speaker in sorted(SC_SPEAKERS.values())
        for number in range(SC_EACH)
        if number != SC_SHORT
    ]
    labels = [name.partition("/")[0] for name in whole]
    train, rest = train_test_split(whole, train_size=0.7, random_state=0, stratify=labels)
    labels = [name.partition("/")[0] for name in rest]
    val, test = train_test_split(rest, train_size=0.5, random_state=1, stratify=labels)
    for split, wanted in (("train", train), ("val", val), ("test", test)):
        assert sorted(names(data, split)) == sorted(wanted)


def test_twelve_classes_are_ten_words_silence_and_unknown(root):
    data = set_up(root, words=12, normalization="none")
    assert data.class_names == (*WORDS_10, SILENCE, UNKNOWN)
    stretches = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}
    for split in data.splits:
        counts = data.splits[split].y.bincount(minlength=12).tolist()
        assert counts == [SC_EACH] * 10 + [7, 7]
        for row, name in enumerate(names(data, split)):
            label = data.class_names[data.splits[split].y[row]]
            if label == UNKNOWN:
                assert name.partition("/")[0] in SC_OTHERS and SC_SPEAKERS[split] in name
            if label == SILENCE:
                start = int(name.rpartition("[")[2].rstrip("]"))
                length = 200000 if "white" in name else 160000
                low, high = stretches[split]
                assert low * length <= start and start + 16000 <= high * length
                assert data.splits[split].x[row].shape == (1, 16000)
    assert torch.equal(data.splits["train"].index, set_up(root, words=12).splits["train"].index)
    other = set_up(root, words=12, split_seed=7)
    assert names(other, "train") != names(data, "train")


def test_archives_and_options_that_break_a_rule_are_named(tmp_path):
    with pytest.raises(UserError, match="words must be 35, 12 or 10, got 20"):
        SpeechCommands(words=20)
    path = tmp_path / "speech_commands/speech_commands_v0.02.tar.gz"
    write_tar(path, {"a/b.wav": b"", "validation_list.txt": b"a/b.wav\n"})
    with pytest.raises(UserError, match="must hold testing_list.txt, got an archive without it"):
        set_up(tmp_path)
    write_tar(path, {"a/b.wav": b"", "validation_list.txt": b"a/c.wav\n", "testing_list.txt": b""})
    with pytest.raises(UserError, match="validation_list.txt must name words of the archive, got a/c.wav"):
        set_up(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="must be a whole tar.gz archive, got: "):
        set_up(tmp_path)
