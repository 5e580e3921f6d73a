"""What the tests of the builder share: layers made by hand, and what a directory has in it."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes
from cachexport.content.layers.convert import open_layer
from cachexport.content.memory import MemoryContent
from cachexport.images.builder import unpack_layer
from cachexport.oci import mediatype
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.content.protocols import Ingester

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"", **fields: object) -> Entry:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    for key, value in fields.items():
        setattr(member, key, value)
    return member, content


def folder(name: str, **fields: object) -> Entry:
    return entry(name, type=tarfile.DIRTYPE, **({"mode": 0o755} | fields))


def symlink(name: str, target: str) -> Entry:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hardlink(name: str, target: str) -> Entry:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def archive(*entries: Entry, format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    raw = io.BytesIO()
    with tarfile.open(
        fileobj=raw, mode="w", format=format, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for member, content in entries:
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def layer(raw: bytes) -> tuple[MemoryContent, Descriptor]:
    blob = gzip.compress(raw, mtime=0)
    return MemoryContent([blob]), Descriptor.of(blob, mediatype.OCI_LAYER_GZIP)


def unpack(place: Path, *entries: Entry, **options: object) -> str:
    content, desc = layer(archive(*entries))
    return str(unpack_layer(content, desc, place, **options))  # type: ignore[arg-type]


def unpack_raw(place: Path, raw: bytes, **options: object) -> str:
    content, desc = layer(raw)
    return str(unpack_layer(content, desc, place, **options))  # type: ignore[arg-type]


def seen(place: Path) -> dict[str, tuple[object, ...]]:
    """Give all that is in a directory, in a way of its own: names in bytes, links not followed."""
    inodes: dict[tuple[int, int], list[bytes]] = {}
    found: dict[str, tuple[object, ...]] = {}
    root = os.fsencode(place)
    paths = [root]
    for above, folders, files in os.walk(root):
        paths += [os.path.join(above, name) for name in (*folders, *files)]
    for path in sorted(paths):
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            inodes.setdefault((status.st_dev, status.st_ino), []).append(
                os.path.relpath(path, root)
            )
    for path in paths:
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        found[os.fsdecode(os.path.relpath(path, root))] = (
            oct(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
            os.readlink(path) if kind == stat.S_IFLNK else None,
            _hash(path) if kind == stat.S_IFREG else None,
            {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
            },
            tuple(inodes.get((status.st_dev, status.st_ino), ())),
        )
    return found


def _hash(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entries(content: MemoryContent, desc: Descriptor) -> list[tarfile.TarInfo]:
    with open_layer(content, desc) as layer:
        raw = b"".join(iter(lambda: layer.read(1 << 20), b""))
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return archive.getmembers()


def named(content: MemoryContent, desc: Descriptor) -> list[str]:
    return [entry.name for entry in entries(content, desc)]


@contextmanager
def as_nobody(place: Path) -> Iterator[None]:
    """Have no rights in the block, but own `place`; whoever has none anyway goes on.

    Temporary files are there, too: their usual folder may be of the user who runs the tests.
    """
    if os.geteuid() != 0:
        yield
        return
    os.chown(place, 65534, 65534)
    temporary, tempfile.tempdir = tempfile.tempdir, str(place)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        tempfile.tempdir = temporary


def put_layer(content: Ingester, *entries: Entry) -> Descriptor:
    """Put a layer into some content, and give its descriptor, which tells its diff ID."""
    raw = archive(*entries)
    blob = gzip.compress(raw, mtime=0)
    found = {UNCOMPRESSED: Digest.of(raw)}
    plain = Descriptor.of(blob, mediatype.OCI_LAYER_GZIP)
    desc = dataclasses.replace(plain, annotations=found)
    ingest_bytes(content, desc, blob)
    return desc
