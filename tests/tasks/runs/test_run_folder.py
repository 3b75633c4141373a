import json
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.errors import UserError
from tasks.runs.run_folder import RunFolder, write_json, write_text


def test_runs_are_numbered_from_one_and_numbers_are_never_used_again(tmp_path):
    paths = [RunFolder.create(tmp_path, "digits").path for _ in range(2)]
    assert [path.name for path in paths] == ["1", "2"]
    paths[0].rmdir()
    (tmp_path / "digits" / "notes").mkdir()
    assert RunFolder.create(tmp_path, "digits").path.name == "3"


def test_runs_that_start_together_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: RunFolder.create(tmp_path, "digits").path.name, range(40)))
    assert sorted(map(int, runs)) == list(range(1, 41))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_a_name_is_one_folder(tmp_path, name):
    with pytest.raises(ValueError, match="run.name must be one folder name, got "):
        RunFolder.create(tmp_path, name)


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"accuracy": 1.0})
    with pytest.raises(TypeError):
        write_json(path, {"accuracy": 0.5, "device": object()})
    assert json.loads(path.read_text()) == {"accuracy": 1.0}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_numbers_that_json_lacks_are_null(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"loss": float("nan"), "list": [float("inf"), 1.5], "inner": {"low": -float("inf")}, "n": 3})
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
        "loss": None,
        "list": [None, 1.5],
        "inner": {"low": None},
        "n": 3,
    }


@pytest.fixture
def full_disk():
    """Let no file of this process grow beyond 1,000 bytes: a write then fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_keeps_the_earlier_file_and_says_how_much_is_free(tmp_path, full_disk):
    path = tmp_path / "metrics.csv"
    write_text(path, "earlier")
    with pytest.raises(UserError, match=r"metrics.csv could not be written: File too large, [\d,.]+ MiB are free"):
        write_text(path, "x" * 2000)
    assert path.read_text() == "earlier" and [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_folder_is_discarded_only_as_far_as_it_is_empty(tmp_path):
    run, other = (RunFolder.create(tmp_path / "runs", "own") for _ in range(2))
    write_text(other.config, "seed_everything: 0")
    other.discard(tmp_path / "runs")
    run.discard(tmp_path / "runs")
    assert not run.path.exists() and other.config.is_file()
    other.config.unlink()
    other.discard(tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="run.root must be a folder that can be written, got .*: Not a directory"):
        RunFolder.create(tmp_path / "file" / "runs", "digits")
