import subprocess
import sys

import pytest

from tasks.data.archives import Archive
from tasks.data.data_set import DataSet, find_data_sets
from tasks.errors import UserError
from tasks.images.published import cifar10
from tests.tasks.command import ROOT

ROWS = DataSet("toys.rows", "rows", (Archive("a.bin", (), ""), Archive("b.bin", (), "")), count_samples=lambda root: {})


def test_archives_are_found_or_the_command_that_prepares_them_is_named(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/a.bin").touch()
    with pytest.raises(UserError) as caught:
        ROWS.find_archives(tmp_path)
    assert str(caught.value) == (
        f"b.bin is not in {tmp_path / 'rows'}; prepare it with: hyperseq data prepare toys.rows --root {tmp_path}"
    )
    (tmp_path / "rows/b.bin").touch()
    assert ROWS.find_archives(tmp_path) == [tmp_path / "rows/a.bin", tmp_path / "rows/b.bin"]


def test_data_sets_are_found_by_name_and_by_alias():
    found = find_data_sets()
    assert found["lra.image"] is found["images.cifar10"] is cifar10.DATA_SET
    assert {data_set.name for data_set in found.values()} == {name for name in found if name == found[name].name}
    assert list(found) == sorted(found)


def test_finding_data_sets_imports_neither_torch_nor_lightning():
    code = "import sys; from tasks.data.data_set import find_data_sets; assert find_data_sets(); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert not {name.split(".")[0] for name in answer.stdout.split()} & {"torch", "pytorch_lightning", "sklearn"}
