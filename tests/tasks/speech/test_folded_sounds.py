import zipfile

import pytest

from tasks.data.data_module import check_data_module
from tasks.errors import UserError
from tasks.speech.folded_sounds import ESC50, UrbanSound8K
from tasks.speech.published import esc50, urbansound8k
from tests.tasks.speech.archives import write_esc50, write_urbansound8k

MODULES = {"esc50": (ESC50, write_esc50, 5, 6), "urbansound8k": (UrbanSound8K, write_urbansound8k, 10, 2)}


@pytest.fixture(params=MODULES)
def data_set(request, tmp_path):
    module, write, num_folds, each = MODULES[request.param]
    write(tmp_path)
    return module, tmp_path, num_folds, each


def set_up(module, root, **options):
    data = module(root=root, cache=root / "decoded", sample_rate=8000, seconds=0.1, batch_size=4, **options)
    data.setup()
    check_data_module(data)
    return data


def test_one_fold_tests_and_the_next_one_validates(data_set):
    module, root, num_folds, each = data_set
    seen = []
    for test_fold in (1, num_folds):
        data = set_up(module, root, test_fold=test_fold)
        assert data.split_sizes == {"train": (num_folds - 2) * each, "val": each, "test": each}
        test, val = ([data.sample_names[index] for index in data.splits[split].index] for split in ("test", "val"))
        for names, fold in ((test, test_fold), (val, test_fold % num_folds + 1)):
            assert all(f"/fold{fold}/" in name or f"/audio/{fold}-" in name for name in names)
        seen += test
    assert len(set(seen)) == 2 * each


def test_classes_are_those_of_the_table(data_set):
    data = set_up(data_set[0], data_set[1])
    for split in data.splits.values():
        for label, index in zip(split.y.tolist(), split.index.tolist(), strict=True):
            kind = {"0": "dog", "1": "rain", "2": "church_bells"}, {"1": "car_horn", "8": "siren"}
            name = data.sample_names[index].rpartition("/")[2].removesuffix(".wav")
            wanted = kind[0][name[-1]] if data_set[0] is ESC50 else kind[1][name.split("-")[1]]
            assert data.class_names[label] == wanted


def test_counts_are_those_of_the_folds(tmp_path):
    write_esc50(tmp_path)
    write_urbansound8k(tmp_path)
    assert esc50.count_samples(tmp_path) == {f"fold {fold}": 6 for fold in range(1, 6)}
    assert urbansound8k.count_samples(tmp_path) == {f"fold {fold}": 2 for fold in range(1, 11)}


def test_a_fold_that_is_none_and_archives_that_break_a_rule_are_named(tmp_path):
    write_esc50(tmp_path)
    with pytest.raises(UserError, match="test_fold must be one of the folds 1, 2, 3, 4, 5, got 6"):
        set_up(ESC50, tmp_path, test_fold=6)
    path = tmp_path / "esc50/ESC-50-master.zip"
    for content, message in [
        ("filename,fold\na.wav,1\n", "esc50.csv must have a column category, got filename, fold"),
        ("filename,fold,category\na.wav,1,dog\n", "must hold ESC-50-master/audio/a.wav, got an archive without it"),
    ]:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("ESC-50-master/meta/esc50.csv", content)
        with pytest.raises(UserError, match=message):
            set_up(ESC50, tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ESC-50-master/README.md", "")
    with pytest.raises(UserError, match=r"must hold ESC-50-master/meta/esc50\.csv, got an archive without it"):
        set_up(ESC50, tmp_path)
    path.write_bytes(b"no zip")
    with pytest.raises(UserError, match="must be a whole zip archive, got: "):
        set_up(ESC50, tmp_path)
