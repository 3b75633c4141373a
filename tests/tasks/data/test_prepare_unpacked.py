"""Laws of data sets that are read unpacked: any place is found, and one folder of a large archive suffices."""

import gzip
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.console import make_console
from tasks.data import tar_members
from tasks.data.archives import Archive
from tasks.data.data_set import find_data_sets
from tasks.data.prepare import prepare
from tasks.images.published import pathfinder
from tasks.lra.published import aan, imdb, listops
from tests.tasks.command import hyperseq
from tests.tasks.data.mirror import Answer
from tests.tasks.images.archives import write_tar
from tests.tasks.images.folders import write_pathfinder
from tests.tasks.lra.archives import review, write_aan, write_listops

COUNTED = {
    "lra.listops": "samples: 24 train, 24 val, 24 test",
    "lra.retrieval": "samples: 12 train, 12 val, 12 test",
    "lra.pathfinder": "samples: 20 images, 0 empty files, left out",
    "lra.pathx": "samples: 20 images, 0 empty files, left out",
    "lra.text": "samples: 4 train, 4 test",
}
INNER = "lra_release/lra_release"


@pytest.fixture(autouse=True)
def published_numbers(monkeypatch):
    monkeypatch.setattr(pathfinder, "NUM_IMAGES", 20)
    for module, count in ((listops, 24), (aan, 12), (imdb, 4)):
        for split in module.NUM_SAMPLES:
            monkeypatch.setitem(module.NUM_SAMPLES, split, count)


def write(name, root, place):
    if name == "lra.listops":
        write_listops(root, folder=place)
    elif name == "lra.retrieval":
        write_aan(root, folder=place)
    elif name == "lra.text":
        for number in range(4):
            for split in ("train", "test"):
                path = root / place / split / ("pos", "neg")[number % 2] / f"{number}_7.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(review(number), encoding="utf-8")
    else:
        write_pathfinder(root, side=128 if name == "lra.pathx" else 32, parent=str(Path(place).parent))


@pytest.fixture
def released(tmp_path):
    """Write an archive as released, with both of its folders of one name, and return the folder of all data sets."""
    for name, place in (
        ("lra.listops", f"{INNER}/listops-1000"),
        ("lra.listops", "lra_release/listops-1000"),
        ("lra.retrieval", f"{INNER}/tsv_data"),
        ("lra.pathfinder", f"{INNER}/pathfinder32"),
    ):
        write(name, tmp_path / "unpacked", place)
    files = [path for path in sorted((tmp_path / "unpacked").rglob("*")) if path.is_file()]
    members = {path.relative_to(tmp_path / "unpacked").as_posix(): path.read_bytes() for path in files}
    faulty = {"lra_release/pathfinder128/curv_contour_length_14/metadata/0.npy": b"faulty"}
    write_tar(tmp_path / "data/lra_release.gz", members | faulty | {f"{INNER}/pathfinder32/other/a.png": b"easy"})
    return tmp_path / "data"


def files_below(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name in COUNTED for place in find_data_sets()[name].places],
)
def test_data_that_lie_unpacked_in_any_place_need_no_archive(name, place, tmp_path):
    write(name, tmp_path, place)
    before = files_below(tmp_path)
    for verb in ("check", "prepare"):
        answer = hyperseq("data", verb, name, "--root", tmp_path)
        assert (answer.code, answer.err) == (0, "")
        assert COUNTED[name] in answer.out.splitlines() and str(tmp_path / place) in answer.out.replace("\n", "")
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "folder"),
    [("lra.retrieval", "tsv_data"), ("lra.pathfinder", "pathfinder32/curv_contour_length_14")],
)
def test_prepare_unpacks_what_is_needed_and_nothing_else(name, folder, released):
    answer = hyperseq("data", "check", name, "--root", released)
    command = f"hyperseq data prepare {find_data_sets()[name].name} --root {released}"
    assert answer.code == 1
    assert answer.out.splitlines()[-2:] == [
        "lra_release.gz is whole, but not unpacked. To unpack what is needed:",
        f"  {command}",
    ]
    answer = hyperseq("data", "prepare", name, "--root", released)
    assert (answer.code, answer.err) == (0, "") and COUNTED[name] in answer.out and "none published" in answer.out
    expected = {path.as_posix() for path in map(Path, files_below(released.parent / "unpacked"))}
    inside = {path for path in expected if path.startswith(f"{INNER}/{folder}/")}
    assert files_below(released) == inside | {"lra_release.gz"}
    assert hyperseq("data", "check", name, "--root", released).code == 0


def test_the_next_command_reads_what_was_prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("configs/lra").mkdir(parents=True)
    for stem in ("pathfinder", "pathx"):
        Path(f"configs/lra/{stem}.yaml").write_text("class_path: tasks.images.pathfinder.Pathfinder\n")
    write("lra.pathfinder", Path("data"), f"{INNER}/pathfinder32")
    told = hyperseq("data", "prepare", "lra.pathfinder").out.splitlines()
    command = "hyperseq fit --config configs/lra/pathfinder.yaml --data.init_args.root data"
    assert told[-2:] == ["Next:", f"  {command} --data.init_args.source released"]


def test_the_outer_copy_of_path_x_is_not_used(released):
    answer = hyperseq("data", "prepare", "lra.pathx", "--root", released)
    folder = f"{INNER}/pathfinder128/curv_contour_length_14"
    assert answer.code == 1 and files_below(released) == {"lra_release.gz"}
    assert answer.err.endswith(f"must hold the folder {folder}, got an archive without it\n")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"<!DOCTYPE html><html>quota", "lra_release.gz: it is an HTML page, not the archive"),
        (None, "lra_release.gz: it must be a whole gzip file: Compressed file ended before"),
    ],
)
def test_an_archive_that_is_broken_is_named_with_its_fault(content, fault, released):
    path = released / "lra_release.gz"
    path.write_bytes(content or path.read_bytes()[:-100])
    for verb in ("check", "prepare"):
        answer = hyperseq("data", verb, "lra.retrieval", "--root", released)
        assert answer.code == 1 and fault in " ".join(answer.out.split())
        assert answer.out.splitlines()[-1] == f"  hyperseq data prepare lra.retrieval --root {released} --replace"
    assert files_below(released) == {"lra_release.gz"}


def test_an_archive_within_its_gzip_that_is_no_tar_file_is_refused(released):
    (released / "lra_release.gz").write_bytes(gzip.compress(b"no tar file" * 100))
    answer = hyperseq("data", "prepare", "lra.retrieval", "--root", released)
    assert answer.code == 1 and "lra_release.gz must be a whole tar.gz archive, got" in answer.err


def test_a_name_that_leaves_its_folder_is_refused_and_nothing_is_left(released):
    write_tar(released / "lra_release.gz", {f"{INNER}/tsv_data/a": b"a", f"{INNER}/tsv_data/../../../../b": b"b"})
    answer = hyperseq("data", "prepare", "lra.retrieval", "--root", released)
    assert answer.code == 1 and f"must hold names below {INNER}/tsv_data, got {INNER}/tsv_data/../" in answer.err
    assert files_below(released) == {"lra_release.gz"} and not (released / "b").exists()


def test_without_room_nothing_is_unpacked_and_the_message_says_how_much_is_needed(released, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 3, 7))
    answer = hyperseq("data", "prepare", "lra.retrieval", "--root", released)
    assert answer.code == 1 and files_below(released) == {"lra_release.gz"}
    size = sum(path.stat().st_size for path in (released.parent / "unpacked" / INNER / "tsv_data").iterdir())
    needed = f"must have {size:,} bytes free for {INNER}/tsv_data of lra_release.gz, got 7"
    assert answer.err == f"hyperseq: error: {released / INNER} {needed}\n"


def test_an_interrupted_unpacking_leaves_nothing(released, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tar_members.shutil, "copyfileobj", press)
        assert hyperseq("data", "prepare", "lra.retrieval", "--root", released).code == 130
    assert files_below(released) == {"lra_release.gz"}
    assert hyperseq("data", "prepare", "lra.retrieval", "--root", released).code == 0


def spoil_rows(path):
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:-3]) + b"\n")


def spoil_line(path):
    path.write_bytes(path.read_bytes()[:-30])


def spoil_page(path):
    path.write_text("<html>sign in</html>\n")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_rows, "must have 12 samples, got 10; fetch it again"),
        (spoil_page, "is an HTML page, not the table; fetch it again"),
        (Path.unlink, "is missing; the released folder holds new_aan_pairs.train.tsv, new_aan_pairs.eval.tsv, "),
    ],
)
def test_a_broken_file_is_named_and_unpacked_anew_when_asked(spoil, told, released):
    assert hyperseq("data", "prepare", "lra.retrieval", "--root", released).code == 0
    path = released / INNER / "tsv_data/new_aan_pairs.eval.tsv"
    content = path.read_bytes()
    spoil(path)
    for verb in ("check", "prepare"):
        answer = hyperseq("data", verb, "lra.retrieval", "--root", released)
        assert answer.code == 1 and answer.err.startswith(f"hyperseq: error: {path} {told}")
    assert hyperseq("data", "prepare", "lra.retrieval", "--root", released, "--replace").code == 0
    assert path.read_bytes() == content and not list(path.parent.parent.glob("*.earlier"))


def test_reviews_that_lie_unpacked_are_counted(tmp_path):
    write("lra.text", tmp_path, "aclImdb")
    (tmp_path / "aclImdb/test/pos/0_7.txt").unlink()
    answer = hyperseq("data", "check", "lra.text", "--root", tmp_path)
    assert answer.code == 1
    assert answer.err.endswith("must hold 25,000 reviews in each of train and test, got 4 and 3; unpack it again\n")


def test_images_that_a_folder_lacks_are_counted(tmp_path):
    hard = write_pathfinder(tmp_path)
    (hard / "metadata/2.npy").unlink()
    answer = hyperseq("data", "check", "lra.pathfinder", "--root", tmp_path)
    command = f"hyperseq data prepare images.pathfinder32 --root {tmp_path} --replace"
    assert answer.code == 1
    assert answer.err == f"hyperseq: error: {hard} must list 20 images, got 10; unpack it anew with: {command}\n"


@pytest.fixture
def pieces(mirror, tmp_path):
    """Let ListOps come from a server on this machine, and return how to prepare it and its folder."""
    write_listops(tmp_path / "server", folder=".")
    urls = {
        name: mirror.url(f"/{name}", Answer((tmp_path / "server" / name).read_bytes()))
        for name in listops.FILES.values()
    }
    archives = tuple(Archive(name, (url,), None) for name, url in urls.items())
    data_set = replace(listops.DATA_SET, archives=archives)

    def prepare_pieces(**options):
        return prepare(data_set, root=tmp_path / "data", console=make_console(), **{"replace": False} | options)

    return prepare_pieces, tmp_path / "data/listops-1000"


def test_the_three_files_of_listops_are_fetched_without_the_archive(pieces, tmp_path):
    prepare_pieces, folder = pieces
    assert prepare_pieces() and files_below(folder) == set(listops.FILES.values())
    (folder / "basic_train.tsv").write_text("Source\tTarget\n[MAX 1 ]\t1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="basic_train.tsv must have 24 samples, got 1; fetch it again"):
        prepare_pieces()
    assert prepare_pieces(replace=True)
    assert (folder / "basic_train.tsv").read_bytes() == (tmp_path / "server/basic_train.tsv").read_bytes()


def test_without_room_nothing_is_fetched_and_the_message_says_how_much_is_needed(pieces, monkeypatch):
    prepare_pieces, folder = pieces
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 3, 7))
    with pytest.raises(ValueError, match=r"listops-1000 must have [\d,]+ bytes free for the rest of basic_train.tsv"):
        prepare_pieces()
    assert files_below(folder) == set()
