import gzip
import hashlib
import zipfile

import pytest

from tasks.data.archives import Archive, find_fault

CONTENT = bytes(range(256)) * 20
MD5 = hashlib.md5(CONTENT).hexdigest()
FILE = Archive("rows.bin", (), MD5)
GZIPPED = Archive("rows.gz", (), MD5, md5_of="content")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows"


def test_a_file_is_right_if_its_checksum_is(path):
    path.write_bytes(CONTENT)
    assert find_fault(FILE, path) is None
    path.write_bytes(CONTENT[:-1])
    assert find_fault(FILE, path) == f"its MD5 must be {MD5}, got {hashlib.md5(CONTENT[:-1]).hexdigest()}"


@pytest.mark.parametrize("level", [0, 9])
def test_a_gzipped_file_is_right_however_it_was_compressed(path, level):
    path.write_bytes(gzip.compress(CONTENT, level, mtime=level))
    assert find_fault(GZIPPED, path) is None
    path.write_bytes(gzip.compress(b"other", level))
    got = hashlib.md5(b"other").hexdigest()
    assert find_fault(GZIPPED, path) == f"the MD5 of its content must be {MD5}, got {got}"


def spoiled(compressed):
    middle = len(compressed) // 2
    return compressed[:middle] + bytes(8) + compressed[middle + 8 :]


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(CONTENT)[:-1], gzip.compress(CONTENT)[:30], spoiled(gzip.compress(CONTENT))],
    ids=["other", "without its end", "cut", "spoiled"],
)
def test_a_gzipped_file_that_cannot_be_unpacked_is_wrong(path, content):
    path.write_bytes(content)
    assert find_fault(GZIPPED, path).startswith("it must be a whole gzip file: ")


@pytest.mark.parametrize("archive", [FILE, GZIPPED])
@pytest.mark.parametrize("page", [b"\n <!DOCTYPE HTML><title>Log in</title>", b"<html lang='en'>"])
def test_an_html_page_is_called_so(path, archive, page):
    path.write_bytes(page)
    assert find_fault(archive, path) == "it is an HTML page, not the archive"


@pytest.mark.parametrize("archive", [FILE, GZIPPED])
def test_an_empty_file_is_called_so(path, archive):
    path.write_bytes(b"")
    assert find_fault(archive, path) == "it is empty, 0 bytes"


def test_a_missing_file_is_called_so(path):
    assert find_fault(FILE, path) == "it is missing"


RECORDINGS = {"1.wav": b"one", "0.wav": b"zero"}
PACKED = Archive("rows.zip", (), hashlib.md5(b"0.wavzero1.wavone").hexdigest(), md5_of="recordings")


def pack(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_recordings_are_right_in_whatever_folder_and_order_they_are_packed(path, compression):
    pack(path, {"top/README.md": b"more", **{f"top/{name}": content for name, content in RECORDINGS.items()}},
         compression=compression)  # fmt: skip
    assert find_fault(PACKED, path) is None
    pack(path, {"1.wav": b"one", "0.wav": b"other"})
    got = hashlib.md5(b"0.wavother1.wavone").hexdigest()
    assert find_fault(PACKED, path) == f"the MD5 of its recordings must be {PACKED.md5}, got {got}"
    path.write_bytes(b"no zip")
    assert find_fault(PACKED, path) == "it must be a whole zip file: File is not a zip file"
