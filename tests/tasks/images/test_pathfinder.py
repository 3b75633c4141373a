import numpy as np
import pytest
import torch

from tasks.data.data_module import check_data_module
from tasks.images import generated_pathfinder
from tasks.images.pathfinder import Pathfinder
from tests.tasks.images.folders import COUNT, pixels, write_pathfinder


def read(root, **options):
    data = Pathfinder(source="released", root=root, batch_size=4, **options)
    data.setup()
    check_data_module(data)
    return data


def test_released_images_are_split_by_batch_number_and_seed_42(tmp_path):
    write_pathfinder(tmp_path)
    data = read(tmp_path)
    assert data.split_sizes == {"train": 16, "val": 2, "test": 2} and data.source == "released"
    order = torch.randperm(2 * COUNT, generator=torch.Generator().manual_seed(42))
    for split, rows in zip(("train", "val", "test"), order.split([16, 2, 2]), strict=True):
        numbers = [(200 if row < COUNT else 1000) + row % COUNT for row in rows.sort().values.tolist()]
        assert np.array_equal(data.splits[split].x[:, 0], np.stack([pixels(number) for number in numbers]))
        assert data.splits[split].y.tolist() == [number % 2 for number in numbers]


def test_pixels_run_from_minus_one_to_one_row_by_row(tmp_path):
    write_pathfinder(tmp_path)
    data = read(tmp_path)
    x = next(iter(data.test_dataloader()))["x"]
    expected = data.splits["test"].x.flatten(1).float() / 127.5 - 1
    torch.testing.assert_close(x[:, 0], expected)


def test_empty_files_are_left_out_and_counted(tmp_path, capsys):
    write_pathfinder(tmp_path, empty=((2, 3),))
    assert sum(read(tmp_path).split_sizes.values()) == 2 * COUNT - 1
    left_out, kept = capsys.readouterr().out.splitlines()
    assert left_out == "Pathfinder: 1 empty image files are left out"
    assert kept.startswith(f"Pathfinder: 19 images are read and kept in {tmp_path}/pathfinder/released-32-split42-")


def test_the_second_use_maps_the_packed_file(tmp_path):
    folder = write_pathfinder(tmp_path)
    first = read(tmp_path)
    for file in folder.rglob("*.png"):
        file.unlink()
    assert read(tmp_path).splits["train"].x.equal(first.splits["train"].x)
    assert [file.name for file in (tmp_path / "pathfinder").glob("*.part")] == []


def test_a_release_that_has_changed_is_packed_anew(tmp_path):
    metadata = write_pathfinder(tmp_path) / "metadata/2.npy"
    lines = metadata.read_text().splitlines(keepends=True)
    metadata.write_text("".join(lines[:-4]))
    assert sum(read(tmp_path).split_sizes.values()) == 2 * COUNT - 4
    metadata.write_text("".join(lines))
    assert sum(read(tmp_path).split_sizes.values()) == 2 * COUNT


def test_a_binary_file_in_place_of_a_text_file_is_named(tmp_path):
    path = write_pathfinder(tmp_path) / "metadata/2.npy"
    np.save(path, np.arange(200))
    with pytest.raises(ValueError, match="metadata/2.npy must be text in UTF-8, in spite of its name, got: "):
        read(tmp_path)


def test_the_outer_copy_of_path_x_is_not_used(tmp_path):
    write_pathfinder(tmp_path, side=128, parent="lra_release")
    with pytest.raises(ValueError, match="curv_contour_length_14 must be in one of .*lra_release/lra_release/pathf"):
        read(tmp_path, side=128)


def test_a_broken_image_and_a_missing_one_are_named(tmp_path):
    path = write_pathfinder(tmp_path) / "imgs/2/sample_1.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="imgs/2/sample_1.png must be a whole PNG image, got: "):
        read(tmp_path)
    assert [file.suffix for file in (tmp_path / "pathfinder").iterdir()] == [".lock"]
    path.unlink()
    with pytest.raises(
        ValueError, match="imgs/2/sample_1.png is missing; .*2.npy lists it; hyperseq data prepare images.path"
    ):
        read(tmp_path)


def test_a_broken_text_file_is_named(tmp_path):
    path = write_pathfinder(tmp_path) / "metadata/2.npy"
    path.write_text("imgs/2 sample_0.png 0 7 1 14\n")
    with pytest.raises(ValueError, match="2.npy, line 1 must have 11 fields with the label 0 or 1 in field 4, got 'im"):
        read(tmp_path)


def test_images_of_another_size_are_refused(tmp_path):
    write_pathfinder(tmp_path, drawn_side=30)
    with pytest.raises(ValueError, match="sample_[0-9].png must have 32 x 32 pixels, got 30 x 30"):
        read(tmp_path)


def test_generated_images_are_kept_and_another_number_of_them_shares_the_test_split(tmp_path, monkeypatch):
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**18)
    data = Pathfinder(root=tmp_path, num_train=30, num_evaluated=10)
    fewer = Pathfinder(root=tmp_path, num_train=20, num_evaluated=10)
    for each in (data, fewer):
        each.setup()
        check_data_module(each)
    assert data.split_sizes == {"train": 30, "val": 10, "test": 10} and data.source == "generated"
    assert fewer.splits["test"].x.equal(data.splits["test"].x)
    assert fewer.splits["train"].x.equal(data.splits["train"].x[:20])


def test_augmented_training_images_are_turned_and_others_are_not(tmp_path):
    write_pathfinder(tmp_path)
    plain, augmented = read(tmp_path), read(tmp_path, augment=True)
    assert next(iter(augmented.test_dataloader()))["x"].equal(next(iter(plain.test_dataloader()))["x"])
    first, second = next(iter(plain.train_dataloader())), next(iter(augmented.train_dataloader()))
    assert first["index"].equal(second["index"]) and not first["x"].equal(second["x"])
    assert first["x"].sort().values.equal(second["x"].sort().values)


def test_easier_images_lie_in_a_file_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**18)
    for options in ({}, {"target_length": 14}, {"target_length": 4, "num_distractors": 0}):
        Pathfinder(root=tmp_path, num_train=4, num_evaluated=2, **options).setup()
    names = {path.stem for path in (tmp_path / "pathfinder").glob("*2*.npy") if "labels" not in path.stem}
    assert names == {"generated-32-seed0-4-2", "generated-32-seed0-4-2-dashes4-distractors0"}


def test_generated_images_follow_the_seed_of_the_data_and_are_told_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**18)
    first, second, other = (
        Pathfinder(root=tmp_path, num_train=4, num_evaluated=2, data_seed=seed) for seed in (0, 0, 7)
    )
    for each in (first, second, other):
        each.setup()
    assert first.splits["test"].x.equal(second.splits["test"].x)
    assert not first.splits["test"].x.equal(other.splits["test"].x)
    folder = tmp_path / "pathfinder"
    told = [f"Pathfinder: 8 images are drawn and kept in {folder}/generated-32-seed{seed}-4-2.npy" for seed in (0, 7)]
    assert capsys.readouterr().out.splitlines() == told


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("generated-32-seed0-4-2.npy", np.zeros((9, 32, 32), np.uint8), "uint8 of shape"),
        ("generated-32-seed0-4-2-labels.npy", np.full(8, 2), "labels from 2 to 2, not below 2"),
    ],
)
def test_a_packed_file_of_other_images_is_refused(tmp_path, monkeypatch, name, content, told):
    monkeypatch.setattr(generated_pathfinder, "PIXELS_AT_ONCE", 2**18)
    Pathfinder(root=tmp_path, num_train=4, num_evaluated=2).setup()
    np.save(tmp_path / "pathfinder" / name, content)
    with pytest.raises(ValueError, match=f"{name} must be a whole packed file, got: {told}"):
        Pathfinder(root=tmp_path, num_train=4, num_evaluated=2).setup()


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="must be null for released images, got 4 and None"):
        Pathfinder(source="released", target_length=4)
    with pytest.raises(ValueError, match="side must be one of 32, 64, 128 for generated images, got 256"):
        Pathfinder(side=256)
    with pytest.raises(ValueError, match="source must be one of generated, released, got 'x'"):
        Pathfinder(source="x")
    with pytest.raises(ValueError, match="num_evaluated must be at least 1, got 0"):
        Pathfinder(num_evaluated=0)
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match=rf"data_seed must lie in \[0, 4294967295\], got {seed}"):
            Pathfinder(data_seed=seed)
