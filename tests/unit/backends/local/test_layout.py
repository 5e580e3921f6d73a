from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import CACHES, described, put

from cachexport.backends.local.layout import Layout, check_source, check_target
from cachexport.backends.local.names import Names
from cachexport.content.verify import read_blob
from cachexport.errors import BackendError, FailedPrecondition, Integrity, NotFound, TransferError

if TYPE_CHECKING:
    from pathlib import Path

ABSENT = described(b"absent")


def test_a_blob_is_read_and_known(tmp_path: Path) -> None:
    desc = put(tmp_path, b"content" * 1000)
    layout = Layout(tmp_path)
    assert read_blob(layout, desc) == b"content" * 1000
    assert layout.info(desc.digest).size == 7000
    assert layout.holds(desc)
    assert list(layout.digests()) == [desc.digest]


def test_an_absent_blob_is_named_with_its_directory(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for call in (lambda: layout.open(ABSENT), lambda: layout.info(ABSENT.digest)):
        with pytest.raises(NotFound) as caught:
            call()
        assert ABSENT.digest in str(caught.value)
        assert str(tmp_path) in str(caught.value)
    assert not layout.holds(ABSENT)


def test_a_directory_in_place_of_a_blob_is_no_blob(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.blob(ABSENT.digest).mkdir(parents=True)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(FailedPrecondition, match="not a regular file"):
        layout.open(ABSENT)
    with pytest.raises(NotFound):
        layout.info(ABSENT.digest)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.blob(ABSENT.digest).parent.mkdir(parents=True)
    os.mkfifo(layout.blob(ABSENT.digest))
    with pytest.raises(FailedPrecondition, match="not a regular file"):
        layout.open(ABSENT)
    os.mkfifo(layout.index)
    with pytest.raises(FailedPrecondition, match="not a regular file"):
        Names(layout).list()


@pytest.mark.parametrize(
    "content", [b'{"title":"my site","posts":[1]}', b"null", b'{"posts":', b'{"manifests":{}}']
)
def test_somebody_elses_index_json_is_not_taken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(FailedPrecondition, match="not an OCI image layout"):
        check_target(Layout(tmp_path))
    (tmp_path / "about.html").touch()
    with pytest.raises(FailedPrecondition, match="not an OCI image layout"):
        check_target(Layout(tmp_path))


@pytest.mark.parametrize("content", [b"", b'{"schemaVersion":2,"manifests":[]}'])
def test_an_index_without_its_mark_is_taken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.json").write_bytes(content)
    check_target(Layout(tmp_path))


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "blobs").touch()
    with pytest.raises(FailedPrecondition):
        Layout(tmp_path).open(ABSENT)
    assert list(Layout(tmp_path).digests()) == []


def test_a_cut_blob_is_noticed(tmp_path: Path) -> None:
    desc = put(tmp_path, b"content")
    layout = Layout(tmp_path)
    with closing(layout.open(desc)) as reader:
        os.truncate(layout.blob(desc.digest), 3)
        assert reader.read(100) == b"con"
        assert reader.read(100) == b""
    with pytest.raises(Integrity):
        read_blob(layout, desc)


def test_a_stream_is_closed_once_and_then_unreadable(tmp_path: Path) -> None:
    desc = put(tmp_path, b"content")
    reader = Layout(tmp_path).open(desc)
    reader.close()
    reader.close()
    with pytest.raises(BackendError):
        reader.read(1)


def test_an_error_of_the_disk_is_one_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desc = put(tmp_path, b"content")

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(TransferError, match="input/output error") as caught:
        read_blob(Layout(tmp_path), desc)
    assert caught.value.origin == "source"


def test_files_that_are_no_blobs_are_left_out(tmp_path: Path) -> None:
    desc = put(tmp_path, b"content")
    (tmp_path / "blobs" / "sha256" / "README").touch()
    (tmp_path / "blobs" / "md5").mkdir()
    (tmp_path / "blobs" / "md5" / ("0" * 32)).touch()
    (tmp_path / "blobs" / "stray").touch()
    assert list(Layout(tmp_path).digests()) == [desc.digest]


SOURCES = {
    "absent": (None, NotFound),
    "empty": ([], NotFound),
    "begun": (["ingest/", "index.json.lock"], NotFound),
    "begun by us": (["ingest/", "blobs/"], None),
    "marked": (["oci-layout"], None),
    "index only": (["index.json", "other"], None),
    "other": (["Makefile"], FailedPrecondition),
    "other with blobs": (["blobs/", "Makefile"], FailedPrecondition),
}
TARGETS = SOURCES | {
    "absent": (None, None),
    "empty": ([], None),
    "begun": (["ingest/", "index.json.lock"], None),
}


def make(directory: Path, names: list[str] | None) -> Layout:
    if names is not None:
        directory.mkdir()
        for name in names:
            path = directory / name
            path.mkdir() if name.endswith("/") else path.touch()
    return Layout(directory)


@pytest.mark.parametrize(("names", "error"), SOURCES.values(), ids=SOURCES)
def test_what_can_be_read(
    tmp_path: Path, names: list[str] | None, error: type[Exception] | None
) -> None:
    layout = make(tmp_path / "src", names)
    if error is None:
        check_source(layout)
    else:
        with pytest.raises(error, match=str(layout.directory)):
            check_source(layout)


@pytest.mark.parametrize(("names", "error"), TARGETS.values(), ids=TARGETS)
def test_what_can_be_written(
    tmp_path: Path, names: list[str] | None, error: type[Exception] | None
) -> None:
    layout = make(tmp_path / "dest", names)
    if error is None:
        check_target(layout)
    else:
        with pytest.raises(error, match=str(layout.directory)):
            check_target(layout)


def test_real_layouts_can_be_read_and_written() -> None:
    check_source(Layout(CACHES / "max"))
    check_target(Layout(CACHES / "max"))
