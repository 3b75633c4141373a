import gzip

import numpy as np
import pytest

from tasks.images.published.idx import read_idx
from tests.tasks.images.archives import noise, write_idx


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images.gz"


def test_what_was_written_is_read(path):
    for shape in ((5,), (3, 4, 2)):
        array = noise(*shape)
        write_idx(path, array)
        told = read_idx(path, num_axes=len(shape))
        assert told.dtype == np.uint8 and np.array_equal(told, array)


def rewrite(path, change):
    write_idx(path, noise(3, 4, 2))
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


def test_another_magic_number_is_refused(path):
    rewrite(path, lambda content: b"\x00\x00\x0d\x03" + content[4:])
    with pytest.raises(ValueError, match="images.gz must begin with the IDX magic number 00 00 08 03, got 00 00 0d 03"):
        read_idx(path, num_axes=3)
    rewrite(path, lambda content: b"")
    with pytest.raises(ValueError, match="must begin with the IDX magic number 00 00 08 03, got $"):
        read_idx(path, num_axes=3)


def test_half_a_header_is_refused(path):
    rewrite(path, lambda content: content[:10])
    with pytest.raises(ValueError, match="images.gz must begin with a header of 16 bytes, got 10 bytes"):
        read_idx(path, num_axes=3)


def test_labels_are_no_images(path):
    write_idx(path, noise(5))
    with pytest.raises(ValueError, match="must begin with the IDX magic number 00 00 08 03, got 00 00 08 01"):
        read_idx(path, num_axes=3)


@pytest.mark.parametrize(
    ("change", "announced", "found"),
    [
        (lambda content: content[:-1], "3x4x2", 23),
        (lambda content: content + b"?", "3x4x2", 25),
        (lambda content: content[:4] + bytes(12), "0x0x0", 0),
    ],
    ids=["short", "long", "empty"],
)
def test_another_count_than_announced_is_refused(path, change, announced, found):
    rewrite(path, change)
    with pytest.raises(ValueError, match=f"must hold the {announced} bytes that its header announces, got {found}"):
        read_idx(path, num_axes=3)


def damage(content: bytes) -> dict[str, bytes]:
    return {
        "no gzip": b"<html>" + content,
        "truncated": content[:-12],
        "corrupt": content[:200] + bytes([255 ^ byte for byte in content[200:210]]) + content[210:],
    }


@pytest.mark.parametrize("kind", damage(b""))
def test_what_is_no_whole_gzip_file_is_refused(path, kind):
    write_idx(path, noise(3, 40, 20))
    path.write_bytes(damage(path.read_bytes())[kind])
    with pytest.raises(ValueError, match=r"images.gz must be a whole gzip file, got: \w"):
        read_idx(path, num_axes=3)
