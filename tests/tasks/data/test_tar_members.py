import gzip
import tarfile

import pytest

from tasks.data.tar_members import read_tar_members
from tests.tasks.images.archives import noise, write_tar

CONTENTS = {f"folder/{name}": noise(5000, seed=seed).tobytes() for seed, name in enumerate("abc")}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.tar.gz"
    write_tar(path, CONTENTS)
    return path


def test_members_come_in_the_order_of_their_names_wherever_they_lie(path):
    assert read_tar_members(path, ["folder/c", "folder/a"]) == [CONTENTS["folder/c"], CONTENTS["folder/a"]]


def test_a_missing_member_is_named(path):
    with pytest.raises(ValueError, match="data.tar.gz must hold folder/d, got an archive without it"):
        read_tar_members(path, ["folder/a", "folder/d"])


def test_a_folder_of_that_name_is_no_file(tmp_path):
    path = tmp_path / "data.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    with pytest.raises(ValueError, match="must hold folder, got an archive without it"):
        read_tar_members(path, ["folder"])


def damage(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    return {
        "no gzip": b"<html>" + content,
        "no tar": gzip.compress(b"x" * 5000),
        "truncated": content[:middle],
        "corrupt": content[:middle] + bytes(64) + content[middle + 64 :],
        "checksum": content[:-8] + bytes(4) + content[-4:],
        "empty": b"",
    }


@pytest.mark.parametrize("kind", damage(b""))
def test_what_is_no_whole_archive_is_refused(path, kind):
    path.write_bytes(damage(path.read_bytes())[kind])
    with pytest.raises(ValueError, match=r"data.tar.gz must be a whole tar.gz archive, got: \w"):
        read_tar_members(path, list(CONTENTS))


def test_an_html_page_in_place_of_an_archive_is_called_so_with_the_remedy(path):
    path.write_text("<!doctype html><title>Log in</title>")
    with pytest.raises(ValueError, match="got: an HTML page; hyperseq data prepare with --replace fetches it again$"):
        read_tar_members(path, list(CONTENTS))
