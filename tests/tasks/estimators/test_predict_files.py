import csv
import re

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tasks.errors import UserError
from tasks.estimators.predict_files import stack_samples
from tasks.images.digits import Digits
from tests.tasks.command import hyperseq

IMAGES = load_digits().images


def rows(text):
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture
def digits(tmp_path):
    """A file of three digits, and one of a single digit."""
    np.save(tmp_path / "three.npy", IMAGES[:3])
    np.save(tmp_path / "one.npy", IMAGES[0])
    return tmp_path


def test_new_files_get_the_predictions_of_the_run_by_name_and_no_truth(trained, digits):
    told = rows((trained.folder / "predictions.csv").read_text())
    np.save(digits / "test.npy", IMAGES[[int(row["index"]) for row in told]])
    answer = hyperseq("predict", "--run", trained.folder, digits / "test.npy")
    assert (answer.code, answer.err) == (0, "")
    found = rows(answer.out)
    assert list(found[0]) == ["name", "predicted", "probability"]
    assert [row["name"] for row in found] == [f"{digits / 'test.npy'}[{number}]" for number in range(360)]
    assert [row["predicted"] for row in found] == [row["predicted"] for row in told]
    for mine, its in zip(found, told, strict=True):
        assert float(mine["probability"]) == pytest.approx(float(its["probability"]), abs=1e-5)


def test_classes_have_their_names_and_out_names_the_file(trained, digits):
    answer = hyperseq("predict", "--run", trained.folder, digits / "one.npy", "--out", digits / "new.csv")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    ((name, predicted),) = [(row["name"], row["predicted"]) for row in rows((digits / "new.csv").read_text())]
    assert name == str(digits / "one.npy") and predicted in tuple("0123456789")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_answered(trained, digits):
    (digits / "text.npy").write_text("no array")
    (digits / "empty.npy").touch()
    np.save(digits / "large.npy", np.ones((9, 9)))
    np.save(digits / "nan.npy", np.full((8, 8), np.nan))
    names = ["nowhere.npy", "one.npy", "text.npy", "large.npy", "nan.npy", "three.npy", "empty.npy"]
    answer = hyperseq("predict", "--run", trained.folder, *(digits / name for name in names))
    assert answer.code == 1
    assert [row["name"].split("/")[-1] for row in rows(answer.out)] == [
        "one.npy", "three.npy[0]", "three.npy[1]", "three.npy[2]"
    ]  # fmt: skip
    told = answer.err.splitlines()
    assert [line.split(": ")[2].split("/")[-1] for line in told] == [
        "nowhere.npy", "text.npy", "large.npy", "nan.npy", "empty.npy"
    ]  # fmt: skip
    assert told[0].endswith("nowhere.npy: No such file or directory")
    assert told[2].endswith("large.npy: images must be 8x8 pixels, got 9x9")


def test_out_replaces_no_file_that_is_predicted_and_no_folder(trained, digits):
    before = (digits / "one.npy").read_bytes()
    (digits / "link.npy").symlink_to(digits / "one.npy")
    for out, told in (
        (digits / "one.npy", "--out must not be one of the files to predict, which it would replace, got "),
        (digits / "link.npy", "--out must not be one of the files to predict, which it would replace, got "),
        (digits, "--out must be a file to write, got the folder "),
        ("", "--out must be a file to write, got the folder ."),
    ):
        answer = hyperseq("predict", "--run", trained.folder, digits / "one.npy", "--out", out)
        assert answer.code == 1 and answer.out == "" and answer.err.startswith(f"hyperseq: error: {told}")
    assert (digits / "one.npy").read_bytes() == before


def test_without_one_readable_file_nothing_is_written(trained, digits):
    answer = hyperseq("predict", "--run", trained.folder, "nowhere.npy", "--out", digits / "new.csv")
    assert answer.code == 1 and not (digits / "new.csv").exists()


def test_a_fault_of_the_data_module_is_no_fault_of_the_file(trained, digits, monkeypatch):
    def fails(self, path):
        raise KeyError("a name that the author forgot")

    monkeypatch.setattr(Digits, "read_samples", fails)
    with pytest.raises(KeyError, match="the author forgot"):
        hyperseq("predict", "--run", trained.folder, digits / "one.npy")


def test_what_is_no_run_is_one_line(tmp_path):
    answer = hyperseq("predict", "--run", tmp_path, "new.npy")
    assert answer.code == 1
    assert re.fullmatch("hyperseq: error: path must be a run folder, got .* without config.yaml\n", answer.err)


@pytest.mark.parametrize("lengths", [(1,), (3, 3), (2, 1, 5)])
def test_samples_are_padded_at_the_end_to_the_longest(lengths):
    samples = [torch.randn(2, length) for length in lengths]
    x, filled = stack_samples(samples)
    assert x.shape == (len(lengths), 2, max(lengths))
    assert filled is None if len(set(lengths)) == 1 else filled.tolist() == list(lengths)
    for row, sample in zip(x, samples, strict=True):
        assert torch.equal(row[:, : sample.shape[1]], sample) and not row[:, sample.shape[1] :].any()


def test_images_of_several_sizes_are_refused():
    with pytest.raises(UserError, match="samples must differ in the length of sequences alone, got the shapes"):
        stack_samples([torch.ones(1, 2, 2), torch.ones(1, 3, 3)])
