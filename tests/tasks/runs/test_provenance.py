import subprocess

import torch

from tasks.runs.provenance import describe_checkout, device_name, processor_name, versions


def git(folder, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)


def test_the_commit_is_that_of_the_checkout_and_says_when_the_code_differs(tmp_path):
    unknown = {"commit": None, "dirty": None}
    assert describe_checkout(tmp_path) == unknown
    git(tmp_path, "init")
    assert describe_checkout(tmp_path) == unknown
    (tmp_path / "hyperseq").mkdir()
    (tmp_path / "hyperseq" / "a.py").write_text("a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a")
    clean = describe_checkout(tmp_path)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "notes").touch()
    assert describe_checkout(tmp_path) == clean
    (tmp_path / "hyperseq" / "a.py").write_text("b")
    assert describe_checkout(tmp_path) == {**clean, "dirty": True}


def test_a_folder_inside_somebody_elses_checkout_has_no_commit(tmp_path):
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "a")
    inside = tmp_path / "site-packages"
    inside.mkdir()
    assert describe_checkout(tmp_path)["commit"] is not None and describe_checkout(inside)["commit"] is None


def test_versions_and_device_are_named():
    assert versions()["torch"] == torch.__version__
    assert device_name(torch.device("cpu")).startswith("cpu (")


def test_a_processor_is_named_with_its_cores(tmp_path):
    told = tmp_path / "cpuinfo"
    told.write_text("processor : 0\nmodel name\t: Acme 9\n\nprocessor : 1\nmodel name\t: Acme 9\n")
    assert processor_name(told) == "Acme 9, 2 cores"
    told.write_text("processor : 0\nmodel name\t: Acme 9\n")
    assert processor_name(told) == "Acme 9, 1 core"
    assert processor_name(tmp_path / "missing")
