import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.runs.run_folder import RunFolder, write_json


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
