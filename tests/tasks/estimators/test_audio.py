import csv
import io
import json
import re
import shutil
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperseq import Terminator
from tasks.errors import UserError
from tasks.estimators import AudioClassifier
from tasks.estimators.predict_files import predict_files
from tasks.estimators.timelines import merge_windows, predict_timelines
from tasks.learning.classifier import Classifier
from tasks.runs.run_folder import RunFolder
from tasks.speech.front_ends import LearnedFilters
from tests.tasks.command import ROOT, hyperseq
from tests.tasks.speech.recordings import tone, wav_bytes, write, write_folder

CONFIG = ROOT / "configs/speech/folder.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as users have it: rates, widths, channels and formats mixed, three bad files, odd names and lengths."""
    folder = tmp_path_factory.mktemp("mess")
    recordings = folder / "my recordings ü"
    write_folder(recordings, classes=("high", "low"), each=8)
    kinds = {"a.wav": (8000, 1, "PCM_U8"), "b.wav": (44100, 2, "PCM_24"), "c.wav": (48000, 1, "FLOAT"),
             "d e ü.flac": (16000, 2, "PCM_16"), "f.ogg": (22050, 1, "VORBIS")}  # fmt: skip
    for label, name in enumerate(("high", "low")):
        for file, (rate, channels, subtype) in kinds.items():
            samples = tone(1200 - 900 * label, seconds=0.2, rate=rate, channels=channels, seed=len(file) + label)
            write(recordings / name / file, samples, rate=rate, subtype=subtype)
    write(recordings / "low/10 ms.wav", tone(300, seconds=0.01))
    write(recordings / "low/60 s.wav", tone(300, seconds=60, seed=5))
    for name, content in {"empty.wav": b"", "short.wav": wav_bytes(tone(300))[:500], "text.wav": b"a text"}.items():
        (recordings / "high" / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def classifier(folder):
    return AudioClassifier.train(
        CONFIG,
        f"--data.root={folder / 'my recordings ü'}",
        f"--data.cache={folder / 'cache'}",
        f"--run.root={folder / 'runs'}",
        "--run.num_threads=1",
        "--data.sample_rate=8000",
        "--data.seconds=0.2",
        "--data.batch_size=8",
        "--data.on_bad_file=skip",
        "--data.augmentation=null",
        "--trainer.max_epochs=6",
        "--model.backbone.channels=[4,8]",
        "--model.backbone.stem.channels=4",
        "--model.backbone.stem.num_mels=12",
    )


def test_a_folder_of_any_files_is_trained_on_and_learnt(classifier, folder):
    assert classifier.classes_.tolist() == ["high", "low"]
    new = [write(folder / f"new{label}.wav", tone(1200 - 900 * label, seconds=0.15, seed=99)) for label in (0, 1)]
    assert classifier.predict(new).tolist() == ["high", "low"]
    assert classifier.score(new, ["high", "high"]) == 0.5
    with pytest.raises(UserError, match="^labels must be one for each recording, got 1 for 2$"):
        classifier.score(new, ["high"])
    assert classifier.predict([]).shape == (0,)


def test_a_recording_is_answered_alike_as_file_array_and_tensor_alone_and_among_longer_ones(classifier, folder):
    samples = tone(1200, seconds=0.13, seed=7)
    path = write(folder / "one.wav", samples, subtype="FLOAT")
    alone = torch.from_numpy(classifier.predict_proba([path]))
    assert alone.sum().item() == pytest.approx(1)
    others = classifier.predict_proba([(samples[:, 0], 8000), str(path), (torch.from_numpy(samples).mT, 8000)])
    torch.testing.assert_close(torch.from_numpy(others), alone.expand(3, -1))
    long = classifier._data.normalize(torch.from_numpy(tone(300, seconds=0.2)).mT)
    short = classifier._data.normalize(torch.from_numpy(samples).mT)
    x = torch.stack([long, torch.nn.functional.pad(short, (0, long.shape[1] - short.shape[1]))])
    batch = classifier.run.predict(x, torch.tensor([long.shape[1], short.shape[1]]))
    torch.testing.assert_close(batch[1:], alone, rtol=1e-4, atol=1e-4)


def test_another_rate_is_resampled(classifier):
    for rate in (8000, 16000, 44100):
        recordings = [(tone(pitch, seconds=0.2, rate=rate, seed=3)[:, 0], rate) for pitch in (1200, 300)]
        assert classifier.predict(recordings).tolist() == ["high", "low"]


def test_windows_cover_a_long_recording(classifier):
    samples = np.concatenate([tone(1200, seconds=0.5), tone(300, seconds=0.5)])[:, 0]
    windows = classifier.predict_windows((samples, 8000), window=0.2, hop=0.1)
    assert [each.start for each in windows] == pytest.approx([place / 10 for place in range(9)])
    assert [each.end - each.start for each in windows] == pytest.approx([0.2] * 9)
    names = [classifier.classes_[each.probabilities.argmax()] for each in windows]
    assert names[:3] == ["high"] * 3 and names[-3:] == ["low"] * 3
    mean = torch.stack([each.probabilities for each in classifier.predict_windows((samples, 8000))]).mean(dim=0)
    torch.testing.assert_close(classifier.predict_proba([(samples, 8000)])[0], mean.numpy())


def test_the_command_answers_files_by_the_run_alone_and_names_the_bad_ones(classifier, folder):
    recordings = folder / "my recordings ü"
    moved = folder / "moved"
    shutil.copytree(classifier.run.path, moved, dirs_exist_ok=True)
    files = [recordings / "low/10 ms.wav", recordings / "high/text.wav", recordings / "high/d e ü.flac"]
    answer = hyperseq("predict", "--run", moved, *files)
    lines = answer.out.splitlines()
    assert answer.code == 1 and lines[0] == "name,predicted,probability" and len(lines) == 3
    assert lines[2].startswith(f"{files[2]},high,")
    assert answer.err == f"hyperseq: error: {files[1]}: it is no audio file: it begins with b'a text'\n"


def test_the_command_answers_folders_and_standard_input(classifier, folder, monkeypatch):
    new = folder / "new files"
    for label, pitch in (("b", 1200), ("a", 300)):
        write(new / "deeper" / f"{label}.wav", tone(pitch, seconds=0.15, seed=99))
    (new / "notes.txt").write_text("no audio")
    answer = hyperseq("predict", "--run", classifier.run.path, new)
    rows = [line.split(",") for line in answer.out.splitlines()[1:]]
    assert (answer.code, answer.err) == (0, "")
    assert [row[:2] for row in rows] == [[str(new / "deeper/a.wav"), "low"], [str(new / "deeper/b.wav"), "high"]]
    (folder / "nothing").mkdir()
    answer = hyperseq("predict", "--run", classifier.run.path, folder / "nothing")
    message = f"{folder / 'nothing'}: the folder holds no file that can be read"
    assert (answer.code, answer.out, answer.err) == (1, "", f"hyperseq: error: {message}\n")

    for content, code, told in (
        (wav_bytes(tone(1200, seconds=0.15)), 0, ""),
        (b"", 1, "hyperseq: error: -: it is empty, 0 bytes\n"),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        answer = hyperseq("predict", "--run", classifier.run.path, "-")
        assert (answer.code, answer.err) == (code, told)
        assert code or answer.out.splitlines()[1].startswith("-,high,")


def test_a_long_recording_gets_a_row_a_window_segments_and_a_picture(classifier, folder):
    samples = np.concatenate([tone(1200, seconds=1.0), tone(300, seconds=1.0)])
    path = write(folder / "two tones.wav", samples)
    out = folder / "timeline" / "answers.csv"
    out.parent.mkdir()
    words = ("predict", "--run", classifier.run.path, "--window", 0.2, "--hop", 0.1, "--topk", 2, path)
    assert (hyperseq(*words, "--out", out).code, hyperseq(*words).out) == (0, out.read_text())
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0])[:5] == ["name", "start", "end", "predicted", "probability"] and "predicted_2" in rows[0]
    assert [float(row["start"]) for row in rows] == pytest.approx([place / 10 for place in range(19)])
    probabilities = [each.probabilities.max().item() for each in classifier.predict_windows(path, window=0.2, hop=0.1)]
    assert [float(row["probability"]) for row in rows] == pytest.approx(probabilities, rel=1e-5)
    segments = list(csv.DictReader((out.parent / "answers_segments.csv").read_text().splitlines()))
    assert [(row["name"], row["predicted"]) for row in segments] == [(str(path), "high"), (str(path), "low")]
    assert [float(row[end]) for row in segments for end in ("start", "end")] == pytest.approx([0, 1, 1, 2], abs=0.11)
    assert (out.parent / "answers_timeline.png").read_bytes()[:4] == b"\x89PNG"

    answer = hyperseq(*words[:3], "--window", 0.5, path)
    message = "window must lie in (0, 0.2], the window of the training in seconds, got 0.5"
    assert (answer.code, answer.err) == (1, f"hyperseq: error: {message}\n")


def test_neighbors_of_one_class_are_merged_and_segments_share_their_ends():
    places = [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0), (1.25, 2.25)]
    found = merge_windows(places, ["a", "b", "b", "a"], [0.5, 0.75, 1.0, 0.875])
    assert found == [(0.0, 0.75, "a", 0.5), (0.75, 1.625, "b", 0.875), (1.625, 2.25, "a", 0.875)]
    assert merge_windows(places[:1], ["a"], [0.5]) == [(0.0, 1.0, "a", 0.5)]


def test_an_improbable_class_is_rejected_at_a_given_threshold_or_that_of_the_run(classifier, folder):
    path = write(folder / "low.wav", tone(300, seconds=0.15, seed=98))
    probability = classifier.predict_proba([path]).max().item()
    words = ("predict", "--run", classifier.run.path, path)

    def answer(*options):
        found = hyperseq(*words, *options)
        return found.err or found.out.splitlines()[1].split(",")[1]

    assert answer("--reject-below", probability - 1e-4) == "low"
    assert answer("--reject-below", min(probability + 1e-4, 1)) == "(none)"
    threshold = json.loads((classifier.run.path / "results.json").read_text())["reject_below"]
    assert 0.5 < threshold <= 1
    assert answer("--reject-below", "auto") == ("low" if probability >= threshold else "(none)")
    assert answer("--reject-below", 1.5) == "hyperseq: error: reject_below must lie in [0, 1], got 1.5\n"
    message = "reject_below must be a probability or auto, got 'much'"
    assert answer("--reject-below", "much") == f"hyperseq: error: {message}\n"
    moved = folder / "without results"
    shutil.copytree(classifier.run.path, moved)
    (moved / "results.json").unlink()
    found = hyperseq("predict", "--run", moved, "--reject-below", "auto", path)
    message = f"reject_below must be a number for a run without a threshold of its own, got auto: {moved}"
    assert (found.code, found.err) == (1, f"hyperseq: error: {message}\n")


@pytest.fixture
def rated(classifier):
    """The run with other networks: one of continuous kernels, or one behind filters, both take a rate."""

    def make(stem, **options):
        run = copy(classifier.run)
        backbone = Terminator(1, 1, size=1600, channels=[4, 8], stem=stem, slow_hidden_channels=4)
        run.model = Classifier(backbone, num_classes=2).eval()
        return AudioClassifier(run, **options)

    return make


def test_at_its_native_rate_a_recording_is_not_resampled_and_the_network_is_told(rated, folder):
    native = rated(None, native_rate=True)
    fast = tone(300, seconds=0.2, rate=16000)
    x = native._data.normalize(torch.from_numpy(fast).mT, rate=16000)
    assert x.shape == (1, 3200)
    found = native.predict_proba([(fast[:, 0], 16000)])
    torch.testing.assert_close(torch.from_numpy(found), native.run.predict(x[None], rate=0.5))
    path = write(folder / "fast.wav", np.tile(fast, (2, 1)), rate=16000, subtype="FLOAT")
    columns = predict_files(native.run, [path], report=None, native_rate=True)
    assert columns["name"] == [f"{path}[{place}-{place + 200}ms]" for place in (0, 100, 200)]
    timelines = predict_timelines(native.run, [path], report=None, native_rate=True)
    assert timelines.windows["probability"] == columns["probability"]
    assert timelines.windows["end"] == ["0.2", "0.3", "0.4"]

    alike = rated(LearnedFilters(4, strides=(4, 4)), native_rate=True)
    resampled = AudioClassifier(alike.run).predict_proba([(fast[:, 0], 16000)])
    torch.testing.assert_close(alike.predict_proba([(fast[:, 0], 16000)]), resampled, rtol=0, atol=0.01)


def test_a_class_with_the_name_of_the_rejection_cannot_be_rejected(classifier, folder):
    path = write(folder / "low.wav", tone(300, seconds=0.15, seed=98))
    run = copy(classifier.run)
    run.description = replace(run.description, class_names=("(none)", "low"))
    with pytest.raises(UserError, match=r"^reject_below must be left out where a class is named \(none\), got 0.5$"):
        predict_files(run, [path], report=print, reject_below=0.5)


def test_a_file_whose_native_rate_fits_no_stride_is_named_and_the_others_are_answered(rated, folder):
    paths = [
        write(folder / f"{rate}.wav", tone(300, seconds=0.1, rate=rate), rate=rate) for rate in (4000, 44100, 8000)
    ]
    told = []
    run = rated(LearnedFilters(4, strides=(4, 4)), native_rate=True).run
    columns = predict_files(run, paths, report=lambda *fault: told.append(fault), native_rate=True)
    assert columns["name"] == [str(paths[0]), str(paths[2])]
    ((path, error),) = told
    assert path == paths[1] and "rate must divide the first of strides, 4, into a whole number" in str(error)


def test_damaged_results_and_a_place_below_a_file_are_named(classifier, folder):
    damaged = Path(shutil.copytree(classifier.run.path, folder / "damaged"))
    (damaged / "results.json").write_text("{")
    path = write(folder / "low.wav", tone(300, seconds=0.15, seed=98))
    answer = hyperseq("predict", "--run", damaged, "--reject-below", "auto", path)
    assert f"{damaged / 'results.json'} must be JSON, as the training wrote it, got: " in answer.err
    answer = hyperseq("predict", "--run", damaged, "--out", path / "x.csv", path)
    assert answer.err == f"hyperseq: error: --out must lie in a folder, got {path / 'x.csv'} below the file {path}\n"


def test_a_native_rate_is_refused_where_it_means_nothing(classifier, rated, folder, monkeypatch):
    path = write(folder / "low.wav", tone(300, seconds=0.15, seed=98))
    for words in ((), ("--window", 0.1)):
        answer = hyperseq("predict", "--run", classifier.run.path, "--native-rate", *words, path)
        message = "native_rate must be left out with the stem LogMel, which is made for one rate"
        assert (answer.code, answer.out, answer.err) == (1, "", f"hyperseq: error: {message}\n")
    native = rated(None, native_rate=True)
    monkeypatch.setattr(native._data, "normalization", "legacy")
    with pytest.raises(UserError, match="native_rate must be left out with normalization=legacy, whose statistics"):
        native.predict([path])


def test_a_folder_is_trained_on_by_the_shipped_config(monkeypatch):
    given = []

    class Command:
        def __init__(self, words):
            given.extend(words)
            self.run_folder = RunFolder(ROOT / "results/models/fsdd")

    monkeypatch.setattr("tasks.estimators.audio.TrainingCLI", Command)
    folder = str(ROOT / "results/models/fsdd/clips")
    AudioClassifier.train(folder, "--trainer.max_epochs=1")
    assert given == ["fit", "--config", str(CONFIG), f"--data.root={folder}", "--trainer.max_epochs=1"]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("no/folder", [], "source must be a folder of recordings or a config file, got 'no/folder'"),
        (CONFIG, ["--trainer.max_epoch=1"], "unknown key 'trainer.max_epoch'; did you mean 'trainer.max_epochs'?"),
        (CONFIG, ["--data.augmentation.speed=2"], "speed must lie in [0, 1), got 2.0"),
        (CONFIG, ["--data.root=no/folder"], "root must be a folder with one folder for each class, got no/folder"),
    ],
)
def test_what_cannot_be_trained_on_is_an_error_and_no_exit(source, options, message, capsys):
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        AudioClassifier.train(source, *options)
    assert capsys.readouterr().err == ""


def test_one_recording_is_no_list_of_recordings(classifier):
    for one in ("a.wav", Path("a.wav"), np.zeros(8), (np.zeros(8), 8000)):
        message = f"recordings must be a list, such as [path] or [(samples, rate)], got one {type(one).__name__}"
        with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
            classifier.predict(one)


def test_what_cannot_be_answered_is_named(classifier):
    samples = tone(300)[:, 0]
    for recording, options, message in [
        ((samples, 8000), {"window": 0.5}, r"window must lie in \(0, 0.2\], the window of the training in seconds"),
        ((samples, 8000), {"hop": 0.3}, r"hop must lie in \(0, window = 0.2\], so that no sample is left out, got 0.3"),
        ((samples, 0), {}, "rate must be a positive integer in Hz, got 0"),
        ((np.zeros(4, np.int16), 8000), {}, r"samples must be \(L,\) or .* in \[-1, 1\], got \(4,\) of int16"),
        ((np.zeros((9, 2)), 8000), {}, r"samples must be \(channels, L\), got \(9, 2\); .*: take samples.T"),
        ((np.zeros(4), 8000), {}, "samples must not be silent, got 0 alone"),
        ((np.array([np.nan]), 8000), {}, "samples must be finite, got NaN or infinity"),
        (samples, {}, r"recording must be a path or \(samples, rate\), got ndarray"),
        ("no.wav", {}, "no.wav: there is no such file"),
    ]:
        with pytest.raises(UserError, match=message):
            classifier.predict_windows(recording, **options)
