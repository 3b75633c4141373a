import numpy as np
import pytest

from tasks.errors import UserError
from tasks.images.packed_images import find_packed, write_packed

IMAGES = np.arange(5 * 9, dtype=np.uint8).reshape(5, 3, 3)
LABELS = np.array([0, 1, 1, 0, 1])


def chunks():
    yield IMAGES[:2], LABELS[:2]
    yield IMAGES[2:], LABELS[2:]


def find(path, **options):
    return find_packed(path, **{"side": 3, "num_classes": 2} | options)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "below/images.npy"
    assert find(path) is None
    write_packed(path, chunks(), count=5, side=3)
    return path


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_the_first_images_of_the_chunks_come_back(tmp_path, count):
    write_packed(tmp_path / "images.npy", chunks(), count=count, side=3)
    pixels, labels = find(tmp_path / "images.npy", count=count)
    assert np.array_equal(pixels, IMAGES[:count]) and np.array_equal(labels, LABELS[:count])


def test_what_changes_the_map_does_not_reach_the_file(path):
    find(path)[0][:] = 0
    assert np.array_equal(find(path)[0], IMAGES)


def test_a_file_that_is_there_is_kept(path):
    def never():
        raise AssertionError
        yield

    write_packed(path, never(), count=5, side=3)
    assert np.array_equal(find(path)[0], IMAGES)


def test_too_few_images_and_an_interrupt_leave_no_file(tmp_path):
    path = tmp_path / "images.npy"
    with pytest.raises(UserError, match="chunks must hold 6 images, got 5"):
        write_packed(path, chunks(), count=6, side=3)

    def interrupted():
        yield IMAGES, LABELS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_packed(path, interrupted(), count=6, side=3)
    assert find(path) is None and not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/below must be a folder that can be written, got: Not a directory"):
        write_packed(tmp_path / "file/below/images.npy", chunks(), count=5, side=3)
    with pytest.raises(UserError, match="/proc/below must be a folder that can be written, got: "):
        write_packed(type(tmp_path)("/proc/below/images.npy"), chunks(), count=5, side=3)


@pytest.mark.parametrize("count", [10**15, 10**30])
def test_more_images_than_the_disk_has_room_for_are_refused(tmp_path, count):
    with pytest.raises(UserError, match=rf"must have {count * 17:,} bytes free for {count:,} images, got "):
        write_packed(tmp_path / "images.npy", chunks(), count=count, side=3)


def test_a_disk_that_fills_up_leaves_no_file(tmp_path):
    def fails():
        yield IMAGES[:2], LABELS[:2]
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=f"{tmp_path} must be a folder that can be written, got: No space left on dev"):
        write_packed(tmp_path / "images.npy", fails(), count=5, side=3)
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.npy"))


def test_images_are_never_there_without_their_labels(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_packed(tmp_path / "images.npy", chunks(), count=5, side=3)
    assert not list(tmp_path.glob("*.npy")) and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("images", np.zeros((5, 2, 3), np.uint8), r"uint8 of shape \(5, 2, 3\) in place of uint8 of shape \(5, 3, 3\)"),
        ("images", np.zeros((4, 3, 3), np.uint8), r"uint8 of shape \(4, 3, 3\) in place of uint8 of shape \(5, 3, 3\)"),
        ("images", np.zeros((5, 3, 3)), r"float64 of shape \(5, 3, 3\) in place of uint8 of shape \(5, 3, 3\)"),
        ("images", np.uint8(1), r"uint8 of shape \(\) in place of uint8 of shape \(5, 3, 3\)"),
        ("images-labels", np.zeros(4, np.int64), r"int64 of shape \(4,\) in place of int64 of shape \(5,\)"),
        ("images-labels", np.zeros(5), r"float64 of shape \(5,\) in place of int64 of shape \(5,\)"),
        ("images-labels", np.arange(5) // 2, "labels from 0 to 2, not below 2"),
        ("images-labels", -LABELS, "labels from -1 to 0, not below 2"),
    ],
)
def test_a_file_of_another_kind_is_named(path, name, content, told):
    broken = path.with_stem(name)
    np.save(broken, content)
    with pytest.raises(UserError, match=f"{broken} must be a whole packed file, got: {told}; delete {path} to have it"):
        find(path, count=5)


@pytest.mark.parametrize("name", ["images", "images-labels"])
def test_a_truncated_a_foreign_and_a_missing_file_are_named(path, name):
    broken = path.with_stem(name)
    whole = broken.read_bytes()
    for content in (whole[:-1], whole.replace(b")", b"(", 1), b"<html>", b"PK\3\4junk", b""):
        broken.write_bytes(content)
        with pytest.raises(UserError, match=f"{broken} must be a whole packed file, got: .*; delete {path} to have it"):
            find(path)
    with broken.open("wb") as file:
        np.savez(file, IMAGES, LABELS)
    with pytest.raises(UserError, match=f"{broken} must be a whole packed file, got: .*; delete {path}"):
        find(path)
    path.with_stem("images-labels").unlink()
    if name == "images-labels":
        with pytest.raises(UserError, match=f"{broken} must be a whole packed file, got: .*No such file"):
            find(path)


def test_a_file_is_written_anew_after_it_was_deleted_as_told(path):
    labels = path.with_stem("images-labels")
    np.save(labels, np.arange(9))
    path.unlink()
    write_packed(path, chunks(), count=5, side=3)
    assert np.array_equal(find(path)[1], LABELS)
