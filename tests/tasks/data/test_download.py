import gzip
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from tasks.data import download
from tasks.data.archives import Archive
from tests.tasks.data.mirror import Answer

CONTENT = bytes(range(256)) * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()
HALF = len(CONTENT) // 2

GOOD = Answer(CONTENT)
BROKEN = Answer(CONTENT, breaks_after=HALF)
WRONG = Answer(CONTENT[::-1])
WRONG_MD5 = hashlib.md5(CONTENT[::-1]).hexdigest()
ABSENT = Answer(status=404)
PAGE = Answer(b"<!doctype html><title>Log in</title>", content_type="text/html; charset=utf-8")


@dataclass(frozen=True)
class Place:
    folder: Path
    told: io.StringIO

    @property
    def path(self):
        return self.folder / "rows.bin"

    @property
    def part(self):
        return self.folder / "rows.bin.part"

    def fetch(self, *urls, md5_of="file", progress=Progress):
        archive = Archive("rows.bin", urls, MD5, md5_of)
        silent = progress(console=Console(file=self.told, width=200), disable=True)
        download.fetch_archive(archive, path=self.path, progress=silent)

    def files(self):
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path, io.StringIO())


# One mirror.


def test_an_archive_is_fetched_in_one_request(mirror, place):
    url = mirror.url("/a", GOOD)
    place.fetch(url)
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", None)]
    assert place.told.getvalue() == f"rows.bin: fetched from {url}\n"


def test_a_broken_connection_is_resumed_where_it_broke(mirror, place):
    url = mirror.url("/a", BROKEN, GOOD)
    place.fetch(url)
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", None), ("/a", f"bytes={HALF}-")]
    assert f"{url}: the connection broke: 128,000 of 256,000 bytes arrived; trying again\n" in place.told.getvalue()


def test_a_connection_that_falls_silent_is_resumed(mirror, place, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    place.fetch(mirror.url("/a", Answer(CONTENT, breaks_after=HALF, stalls=True), GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", None), ("/a", f"bytes={HALF}-")]
    assert "the connection broke: timed out; trying again\n" in place.told.getvalue()


def test_a_server_that_hangs_up_is_asked_again(mirror, place):
    place.part.write_bytes(CONTENT[:1000])
    place.fetch(mirror.url("/a", Answer(status=0), GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", "bytes=1000-")] * 2


def test_nothing_is_awaited_beyond_the_last_byte(mirror, place, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 2.0)
    place.fetch(mirror.url("/a", Answer(CONTENT, stalls=True)))
    assert place.files() == {"rows.bin": CONTENT}
    assert "trying again" not in place.told.getvalue()


def test_a_part_that_lies_there_is_resumed(mirror, place):
    place.part.write_bytes(CONTENT[:1000])
    place.fetch(mirror.url("/a", GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", "bytes=1000-")]


def test_a_server_that_ignores_the_range_sends_all_anew(mirror, place):
    place.part.write_bytes(CONTENT[:1000])
    place.fetch(mirror.url("/a", Answer(CONTENT, knows_range=False)))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", "bytes=1000-")]


def test_a_part_that_is_whole_is_taken_as_it_is(mirror, place):
    place.part.write_bytes(CONTENT)
    place.fetch(mirror.url("/a", GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", f"bytes={len(CONTENT)}-")]


@pytest.mark.parametrize("part", [CONTENT + b"more", CONTENT[:-1] + b"x", b"x" * 1000], ids=["long", "whole", "short"])
def test_a_part_that_does_not_fit_is_fetched_anew(mirror, place, part):
    place.part.write_bytes(part)
    place.fetch(mirror.url("/a", GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", f"bytes={len(part)}-"), ("/a", None)]


def test_a_server_that_sends_another_range_is_asked_for_all(mirror, place):
    place.part.write_bytes(CONTENT[:1000])
    place.fetch(mirror.url("/a", Answer(CONTENT, shift=1), GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", "bytes=1000-"), ("/a", None)]
    assert "asked for the bytes from 1000, got others" in place.told.getvalue()


def test_what_mirrors_compressed_differently_is_right_by_its_content(mirror, place):
    place.part.write_bytes(gzip.compress(CONTENT, 1)[:100])
    content = gzip.compress(CONTENT, 9)
    place.fetch(mirror.url("/a", Answer(content)), md5_of="content")
    assert place.files() == {"rows.bin": content}


# Several mirrors.


def test_the_next_mirror_is_asked_when_one_does_not_have_it(mirror, place):
    first, second = mirror.url("/a", ABSENT), mirror.url("/b", GOOD)
    place.fetch(first, second)
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", None), ("/b", None)]
    assert place.told.getvalue() == f"{first}: HTTP 404 Not Found\nrows.bin: fetched from {second}\n"


def test_the_next_mirror_is_asked_when_one_cannot_be_reached(mirror, place):
    place.fetch("http://127.0.0.1:1/", mirror.url("/b", GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert "http://127.0.0.1:1/: Connection refused\n" in place.told.getvalue()


def test_the_next_mirror_continues_what_one_never_finishes(mirror, place):
    endless = Answer(CONTENT, breaks_after=1000)
    place.fetch(mirror.url("/a", endless), mirror.url("/b", GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    ranges = [asked for path, asked in mirror.requests if path == "/a"]
    assert ranges == [None, *(f"bytes={1000 * number}-" for number in range(1, download.TRIES_PER_MIRROR))]
    assert mirror.requests[-1] == ("/b", f"bytes={1000 * download.TRIES_PER_MIRROR}-")


def test_a_wrong_checksum_is_told_and_the_next_mirror_begins_anew(mirror, place):
    url = mirror.url("/a", WRONG)
    place.fetch(url, mirror.url("/b", GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", None), ("/b", None)]
    assert f"{url}: its MD5 must be {MD5}, got {WRONG_MD5}\n" in place.told.getvalue()


def test_an_html_page_is_named_and_leaves_a_part_as_it_is(mirror, place):
    place.part.write_bytes(CONTENT[:1000])
    url = mirror.url("/a", Answer(PAGE.content, content_type=PAGE.content_type, knows_range=False))
    place.fetch(url, mirror.url("/b", GOOD))
    assert place.files() == {"rows.bin": CONTENT}
    assert mirror.requests == [("/a", "bytes=1000-"), ("/b", "bytes=1000-")]
    assert f"{url}: it answered with an HTML page, not with the archive\n" in place.told.getvalue()


def test_an_html_page_that_claims_to_be_a_file_is_named_too(mirror, place):
    url = mirror.url("/a", Answer(PAGE.content))
    place.fetch(url, mirror.url("/b", GOOD))
    assert f"{url}: it is an HTML page, not the archive\n" in place.told.getvalue()


def test_when_all_mirrors_fail_one_message_says_what_each_said(mirror, place):
    urls = [mirror.url("/a", ABSENT), mirror.url("/b", PAGE), mirror.url("/c", WRONG), "http://127.0.0.1:1/"]
    with pytest.raises(OSError) as caught:
        place.fetch(*urls)
    assert str(caught.value).splitlines() == [
        "rows.bin could not be fetched:",
        f"  {urls[0]}: HTTP 404 Not Found",
        f"  {urls[1]}: it answered with an HTML page, not with the archive",
        f"  {urls[2]}: its MD5 must be {MD5}, got {WRONG_MD5}",
        f"  {urls[3]}: Connection refused",
        f"Try again later, or put the file into {place.folder} yourself.",
    ]
    assert place.files() == {}


# What is on disk.


def test_the_name_appears_only_once_the_checksum_is_right(mirror, place, monkeypatch):
    seen = []

    def watch(archive, file):
        fault = find_fault(archive, file)
        seen.append((file.name, fault is None, place.path.exists()))
        return fault

    find_fault = download.find_fault
    monkeypatch.setattr(download, "find_fault", watch)
    place.fetch(mirror.url("/a", WRONG), mirror.url("/b", BROKEN, GOOD))
    assert seen == [("rows.bin.part", False, False), ("rows.bin.part", True, False)]
    assert place.path.read_bytes() == CONTENT


def test_a_file_is_replaced_only_by_a_right_one(mirror, place):
    place.path.write_bytes(b"old")
    with pytest.raises(OSError, match="could not be fetched"):
        place.fetch(mirror.url("/a", WRONG))
    assert place.files() == {"rows.bin": b"old"}
    place.fetch(mirror.url("/b", GOOD))
    assert place.files() == {"rows.bin": CONTENT}


def test_an_unfinished_part_stays_for_the_next_call(mirror, place):
    endless = Answer(CONTENT, breaks_after=1000)
    with pytest.raises(OSError, match=r"the connection broke: 5,000 of 256,000 bytes arrived"):
        place.fetch(mirror.url("/a", endless))
    assert place.files() == {"rows.bin.part": CONTENT[:5000]}


class PressControlC(Progress):
    """The user's Ctrl-C when something has arrived."""

    def update(self, task_id, **fields):
        raise KeyboardInterrupt


def test_ctrl_c_keeps_what_has_arrived(mirror, place):
    with pytest.raises(KeyboardInterrupt):
        place.fetch(mirror.url("/a", GOOD), progress=PressControlC)
    arrived = place.part.read_bytes()
    assert place.files() == {"rows.bin.part": arrived} and arrived and CONTENT.startswith(arrived)
    place.part.write_bytes(CONTENT[:1000])  # all may have arrived at once
    place.fetch(mirror.url("/a", GOOD))
    assert place.files() == {"rows.bin": CONTENT}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the disk that is always full")
def test_a_full_disk_is_told(mirror, place):
    place.part.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"rows\.bin\.part could not be written: No space left on device; what has"):
        place.fetch(mirror.url("/a", GOOD))
    assert not place.path.exists()
