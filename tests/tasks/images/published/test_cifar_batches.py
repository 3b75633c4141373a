import pickle
import re
import warnings

import numpy as np
import pytest

from tasks.images.published.cifar_batches import read_cifar
from tests.tasks.images.archives import noise, pickle_of_python_2, write_tar

DATA, LABELS = noise(6, 3072), [3, 1, 4, 1, 5, 9]


@pytest.fixture
def read(tmp_path):
    """Write batches into an archive and read them from there."""

    def write_and_read(*contents, num_classes=10):
        members = {f"batches/{number}": content for number, content in enumerate(contents, start=1)}
        write_tar(tmp_path / "cifar.tar.gz", members)
        return read_cifar(tmp_path / "cifar.tar.gz", list(members), label_key=b"labels", num_classes=num_classes)

    return write_and_read


def batch(**changes):
    return pickle_of_python_2({b"labels": LABELS, b"data": DATA} | {k.encode(): v for k, v in changes.items()})


def test_the_batches_of_these_tests_are_what_numpy_reads():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy has renamed what Python 2 named.
        told = pickle.loads(batch(), encoding="bytes")
    assert told[b"labels"] == LABELS and told[b"data"].dtype == np.uint8 and np.array_equal(told[b"data"], DATA)


def test_images_and_labels_of_each_batch_are_read(read):
    first, second = read(batch(), batch(labels=[0, 1], data=noise(2, 3072, seed=1)))
    assert first.pixels.dtype == np.uint8 and first.labels.dtype == np.int64
    assert first.labels.tolist() == LABELS and second.labels.tolist() == [0, 1]
    for channel in range(3):
        for row in range(32):
            start = 1024 * channel + 32 * row
            assert np.array_equal(first.pixels[4, channel, row], DATA[4, start : start + 32])


def test_an_array_stored_by_columns_is_read_as_the_same_array(read):
    columns = np.frombuffer(DATA.T.tobytes(), np.uint8).reshape(DATA.shape)
    (told,) = read(batch(data=columns).replace(b"tb\x89T", b"tb\x88T"))
    assert np.array_equal(told.pixels.reshape(6, -1), DATA)


class Hostile:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "name"), [(eval, r"\w+.eval"), (np.frombuffer, r"numpy\S*.frombuffer"), (getattr, r"\w+.getattr")]
)
def test_a_hostile_batch_runs_nothing(read, tmp_path, protocol, function, name):
    called = tmp_path / "called"
    content = pickle.dumps(Hostile(function, f"open({str(called)!r}, 'w')"), protocol=protocol)
    with pytest.raises(
        ValueError, match=f"cifar.tar.gz/batches/1 must be a pickled CIFAR batch, got: it asks for {name}"
    ):
        read(content)
    assert not called.exists()


def test_the_functions_of_numpy_are_not_called_either(read, monkeypatch):
    def called(*arguments):
        raise AssertionError("a pickle called NumPy")

    monkeypatch.setattr(np._core.multiarray, "_reconstruct", called)
    monkeypatch.setattr(np, "dtype", called)
    assert len(read(batch())) == 1


def test_a_batch_cannot_change_what_reads_the_next(read):
    # Sets an attribute of what a name stands for.
    with pytest.raises(ValueError, match="must be a pickled CIFAR batch"):
        read(b"\x80\x02cnumpy\nndarray\n}(U\x04rowsK\x01ub.")
    assert len(read(batch())) == 1


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (batch()[:-50], "truncated"),
        (b"<html>", "invalid load key"),
        (pickle.dumps([1, 2]), "list indices"),
        (pickle_of_python_2({b"data": DATA}), "b'labels'"),
        (pickle_of_python_2({b"labels": LABELS, b"data": [1, 2]}), "no attribute 'rows'"),
        (batch().replace(b"U\x02u1", b"U\x02f4"), r"an array of b'f4' of shape \(6, 3072\)"),
        (batch(data=noise(6, 3, 1024)), r"an array of b'u1' of shape \(6, 3, 1024\)"),
        (batch().replace(b"M\x06\x00", b"M\x05\x00"), "cannot reshape"),
        (batch().replace(b"K\x09e", b"Ne"), "the label None"),
        (batch().replace(b"K\x09e", b"\x88e"), "the label True"),
        (batch().replace(b"K\x09e", b"\x8a\x09" + bytes(8) + b"\x01e"), ""),
    ],
    ids=["half", "page", "list", "no labels", "no array", "floats", "images", "shape", "none", "true", "huge"],
)
def test_what_is_no_batch_is_refused(read, content, fault):
    with pytest.raises(ValueError, match=f"cifar.tar.gz/batches/1 must be a pickled CIFAR batch, got: .*{fault}"):
        read(content)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (batch(data=noise(6, 1024)), "must hold rows of 3072 bytes, got 1024"),
        (batch(labels=LABELS[:5]), "must hold one label an image, got 6 images and 5 labels"),
        (batch(labels=[], data=noise(0, 3072)), "must hold one label an image, got 0 images and 0 labels"),
        (batch(labels=[*LABELS[:5], 10]), "must hold labels of 10 classes, got labels from 1 to 10"),
    ],
)
def test_a_batch_of_something_else_is_refused(read, content, fault):
    with pytest.raises(ValueError, match=f"cifar.tar.gz/batches/1 {re.escape(fault)}"):
        read(content)
