"""What tests of archives share: reading and packing them by hand."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from cachexport.images import write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.images import MadeImage


def archived(image: MadeImage, **options: object) -> bytes:
    target = io.BytesIO()
    write_docker_archive(target, image.content, image.descriptor, **options)  # type: ignore[arg-type]
    return target.getvalue()


def members(raw: bytes) -> dict[str, tuple[int, bytes | None]]:
    """Give mode and content of each; folders end with a slash and have none."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        found = {}
        for member in archive:
            assert (member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, "")
            file = archive.extractfile(member)
            name = member.name + "/" * member.isdir()
            found[name] = (member.mode, file.read() if file else None)
        return found


def files_of(raw: bytes) -> dict[str, bytes]:
    return {name: content for name, (_, content) in members(raw).items() if content is not None}


def packed(to: Path, files: Mapping[str, bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(to, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in more:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return to
