import pytest

from tasks.series.published import DATA_SETS
from tasks.series.published.packaged_files import count_series
from tests.tasks.command import hyperseq
from tests.tasks.series.files import WRITERS

NAMES = ("series.acsf1", "series.japanese_vowels", "series.pigcvp", "series.plaid")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for write in WRITERS[1:]:
        write(root)
    return root


def test_the_names_are_those_of_the_configs():
    assert tuple(data_set.name for data_set in DATA_SETS) == NAMES


def test_the_series_of_each_split_are_counted(root):
    counts = {data_set.name: data_set.count_samples(root) for data_set in DATA_SETS}
    assert counts == dict(zip(NAMES, [{"train": count, "test": count} for count in (6, 30, 6, 6)], strict=True))


def test_comments_and_blank_lines_are_no_series(tmp_path):
    (tmp_path / "a.ts").write_text(
        "\ufeff# 1\n@classLabel true a b\n@DATA\n# 2\n1,2:a\n\n%3\n3,4:b\n", encoding="utf-8"
    )
    (tmp_path / "a.txt").write_text("1 2 3\n\n2 3 4\n")
    assert count_series(tmp_path / "a.ts") == count_series(tmp_path / "a.txt") == 2


def test_files_of_another_content_are_found_by_their_checksums(root):
    answer = hyperseq("data", "check", "series.pigcvp", "--root", root)
    assert answer.code == 1 and "PigCVP_TRAIN.txt" in answer.out and "wrong" in answer.out


def test_a_missing_file_is_one_line_with_the_ways_to_get_it(tmp_path):
    answer = hyperseq("fit", "--config", "series/acsf1", "--data.root", tmp_path, "--run.root", tmp_path / "runs")
    assert answer.code == 1 and answer.err == (
        f"hyperseq: error: root must hold ACSF1/ACSF1_TRAIN.ts (or .txt or .tsv), got {tmp_path} without it; hyperseq "
        "data prepare fetches the data sets that hyperseq list names; for another one, unpack ACSF1.zip of "
        "timeseriesclassification.com there\n"
    )
