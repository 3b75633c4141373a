import tarfile

import pytest

from tasks.data.data_module import check_data_module
from tasks.lra.text import Text
from tests.tasks.lra.archives import review, write_imdb


def read(root, **options):
    data = Text(root=root, batch_size=4, **options)
    data.setup()
    check_data_module(data)
    return data


def test_a_tenth_of_each_class_validates(tmp_path):
    write_imdb(tmp_path)
    data = read(tmp_path)
    assert data.split_sizes == {"train": 36, "val": 4, "test": 40} and data.selected_on == "validation"
    assert data.splits["val"].y.tolist() == [0, 0, 1, 1]


def test_the_habit_of_the_papers_is_recorded(tmp_path):
    write_imdb(tmp_path)
    data = read(tmp_path, protocol="lra_paper")
    assert data.split_sizes == {"train": 40, "val": 40, "test": 40} and data.selected_on == "test"


def test_bytes_are_shifted_by_one_and_have_no_end(tmp_path):
    write_imdb(tmp_path)
    data = read(tmp_path, tokens="bytes", max_length=30)
    assert data.num_tokens == 257
    assert data.splits["test"].x[0].tolist() == [byte + 1 for byte in review(0).encode()[:30]]


def test_characters_are_those_that_occur_fifteen_times_and_the_end_survives_the_cut(tmp_path):
    write_imdb(tmp_path)
    data = read(tmp_path, max_length=20)
    symbols = ["<pad>", "<unk>", "<eos>", *data.learnt["characters"]]
    assert data.num_tokens == len(symbols) and symbols[3] == " " and "\u00e9" in symbols
    ids = data.splits["test"].x[0].tolist()
    shown = "".join(symbols[number] for number in ids[:-1])
    assert len(ids) == 20 and ids[-1] == 2 and shown == review(0)[:19]


def test_an_unpacked_archive_gives_the_same(tmp_path):
    write_imdb(tmp_path / "packed")
    with tarfile.open(tmp_path / "packed/imdb/aclImdb_v1.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    packed, unpacked = read(tmp_path / "packed"), read(tmp_path / "unpacked")
    assert packed.splits["train"].x.values.equal(unpacked.splits["train"].x.values)


def test_a_truncated_archive_is_named(tmp_path):
    write_imdb(tmp_path)
    path = tmp_path / "imdb/aclImdb_v1.tar.gz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="aclImdb_v1.tar.gz must be a whole tar.gz archive, got: "):
        read(tmp_path)


def test_an_empty_review_and_a_class_without_reviews_are_named(tmp_path):
    write_imdb(tmp_path / "packed")
    with tarfile.open(tmp_path / "packed/imdb/aclImdb_v1.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    paths = sorted((tmp_path / "aclImdb/test/neg").glob("*.txt"))
    paths[0].write_bytes(b"")
    with pytest.raises(ValueError, match=f"aclImdb/test/neg/{paths[0].name} must hold a review, got 0 bytes"):
        read(tmp_path)
    for path in paths:
        path.unlink()
    with pytest.raises(
        ValueError, match=r"must hold reviews aclImdb/test/neg/\*.txt, got none; fetch it again with: h"
    ):
        read(tmp_path)


def test_a_missing_archive_is_answered_with_the_command(tmp_path):
    with pytest.raises(ValueError, match="prepare it with: hyperseq data prepare lra.text"):
        read(tmp_path)


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="tokens must be one of characters, bytes, got 'words'"):
        Text(tokens="words")
    with pytest.raises(ValueError, match="protocol must be one of held_out, lra_paper, got 'paper'"):
        Text(protocol="paper")
    with pytest.raises(ValueError, match="max_length must be at least 2, got 1"):
        Text(max_length=1)


@pytest.mark.parametrize("tokens", ["characters", "bytes"])
def test_a_new_review_has_the_ids_of_its_text(tmp_path, tokens):
    write_imdb(tmp_path)
    data = read(tmp_path, tokens=tokens, max_length=30)
    path = tmp_path / "new.txt"
    path.write_bytes(f"{review(3)}\r\n".encode())
    assert {name: x.tolist() for name, x in data.read_samples(path).items()} == {
        str(path): data.splits["test"].x[3].tolist()
    }
