from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from support.images import MadeImage, make_image, tar_layer

from cachexport.errors import (
    BackendError,
    CachexportError,
    FailedPrecondition,
    Integrity,
    NotFound,
    TransferError,
)
from cachexport.images import save_docker_archive, write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor

from unit.images.packing import archived


@pytest.fixture
def image() -> MadeImage:
    return make_image(tar_layer({"a": b"a"}), tar_layer({"b": b"b" * 2000}))


# Blobs are checked while they are written, and an archive appears whole or not at all.


class Wrong:
    """A provider that gives other bytes for one blob, or fails."""

    def __init__(self, image: MadeImage, open_wrong: Callable[[], Reader]) -> None:
        self._content = image.content
        self._victim = image.layers[0].digest
        self._open_wrong = open_wrong

    def open(self, desc: Descriptor, /) -> Reader:
        return self._open_wrong() if desc.digest == self._victim else self._content.open(desc)


def failing() -> Reader:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "broken")

    return Failing()


def absent() -> Reader:
    raise NotFound("blob is not there")


WRONG: list[tuple[Callable[[], Reader], type[CachexportError]]] = [
    (lambda: io.BytesIO(b""), Integrity),
    (lambda: io.BytesIO(b"x" * 10**5), Integrity),
    (failing, TransferError),
    (absent, NotFound),
]


@pytest.mark.parametrize(("open_wrong", "error"), WRONG)
@pytest.mark.parametrize("before", [None, b"before"])
def test_after_a_failure_everything_is_as_it_was(
    tmp_path: Path,
    image: MadeImage,
    open_wrong: Callable[[], Reader],
    error: type[CachexportError],
    before: bytes | None,
) -> None:
    path = tmp_path / "app.tar"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(error):
        save_docker_archive(path, Wrong(image, open_wrong), image.descriptor)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == (
        {} if before is None else {"app.tar": before}
    )


def test_a_blob_of_the_right_size_with_other_bytes(tmp_path: Path, image: MadeImage) -> None:
    wrong = Wrong(image, lambda: io.BytesIO(b"x" * image.layers[0].size))
    with pytest.raises(Integrity, match=image.layers[0].digest):
        save_docker_archive(tmp_path / "app.tar", wrong, image.descriptor)
    assert not list(tmp_path.iterdir())


def test_a_link_in_a_circle_is_an_error_of_ours(tmp_path: Path, image: MadeImage) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(FailedPrecondition, match="circle: it is not a regular file"):
        save_docker_archive(str(tmp_path / "circle"), image.content, image.descriptor)
    assert [p.name for p in tmp_path.iterdir()] == ["circle"]


def test_saving_replaces_what_a_link_leads_to(tmp_path: Path, image: MadeImage) -> None:
    real, link = tmp_path / "real.tar", tmp_path / "link.tar"
    real.write_bytes(b"before")
    link.symlink_to(real)
    save_docker_archive(link, image.content, image.descriptor, names=["app"])
    assert link.is_symlink()
    assert real.read_bytes() == archived(image, names=["app"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.tar", "real.tar"]


@pytest.mark.parametrize("path", ["gone/app.tar", ".", "fifo"])
def test_where_no_archive_can_be(tmp_path: Path, image: MadeImage, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FailedPrecondition, match="cannot write"):
        save_docker_archive(tmp_path / path, image.content, image.descriptor)
    assert [p.name for p in tmp_path.iterdir()] == ["fifo"]


def test_a_full_disk_is_an_error_of_ours(image: MadeImage) -> None:
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(BackendError, match="cannot write to the archive: disk full"),
    ):
        write_docker_archive(full, image.content, image.descriptor)


def test_a_target_that_takes_little_at_a_time_gets_all(image: MadeImage) -> None:
    class Slow(io.BytesIO):
        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            return super().write(data[:7])

    target = Slow()
    write_docker_archive(target, image.content, image.descriptor)
    assert target.getvalue() == archived(image)
