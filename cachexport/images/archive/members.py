"""The members of an archive that is an OCI image layout, on their way into a stream."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cachexport.content.files.errors import translated
from cachexport.content.verify import BLOCK, open_verified
from cachexport.errors import WireFormat
from cachexport.images.archive.tarheader import END, directory_header, file_header, padding
from cachexport.oci.index import Index
from cachexport.oci.layout import INDEX, LAYOUT, LAYOUT_MARK, blob_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

READ_ONLY = 0o444
_INDEX_MODE = 0o644
_FOLDER_MODE = 0o755


class Sink(Protocol):
    """What an archive is written to: a file, a pipe, a socket's file."""

    def write(self, data: bytes, /) -> int | None:
        """Take `data` and say how many bytes of it: None is all. OSError when that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file or a directory of an archive."""

    name: str
    mode: int
    content: bytes | Descriptor | None = field(compare=False)
    """None is a directory; of a descriptor the blob is meant."""


def layout_members(
    root: Descriptor, entries: Sequence[Descriptor], blobs: Iterable[Descriptor]
) -> Iterator[Member]:
    """Give the members of a layout with these entries in its index and these blobs.

    Raises WireFormat when `root`, which leads to the blobs, gives one of them two sizes.
    """
    wanted = _unique(root, blobs)
    folders = {"blobs/", *(f"blobs/{digest.algorithm}/" for digest in wanted)}
    for folder in folders:
        yield Member(name=folder, mode=_FOLDER_MODE, content=None)
    for digest, desc in wanted.items():
        yield Member(name=blob_path(digest), mode=READ_ONLY, content=desc)
    index = Index(manifests=tuple(entries)).encode()
    yield Member(name=INDEX, mode=_INDEX_MODE, content=index)
    yield Member(name=LAYOUT, mode=READ_ONLY, content=LAYOUT_MARK)


def write_members(target: Sink, provider: Provider, members: Iterable[Member]) -> None:
    """Write an archive, its members sorted by name, every blob checked while it passes."""
    for member in sorted(members, key=lambda each: each.name):
        _write_member(target, provider, member)
    _write(target, END)


def _unique(root: Descriptor, blobs: Iterable[Descriptor]) -> dict[Digest, Descriptor]:
    found: dict[Digest, Descriptor] = {}
    for desc in blobs:
        if found.setdefault(desc.digest, desc).size != desc.size:
            raise WireFormat(f"the manifest {root.digest} gives {desc.digest} two sizes")
    return found


def _write_member(target: Sink, provider: Provider, member: Member) -> None:
    if member.content is None:
        _write(target, directory_header(member.name, member.mode))
    elif isinstance(member.content, bytes):
        raw = member.content
        header = file_header(member.name, member.mode, len(raw))
        _write(target, header + raw + padding(len(raw)))
    else:
        _write_blob(target, provider, member.content, member)


def _write_blob(target: Sink, provider: Provider, desc: Descriptor, member: Member) -> None:
    with closing(open_verified(provider, desc)) as reader:
        _write(target, file_header(member.name, member.mode, desc.size))
        for block in iter(lambda: reader.read(BLOCK), b""):
            _write(target, block)
        _write(target, padding(desc.size))


def _write(target: Sink, block: bytes) -> None:
    with translated("write", "the archive"):
        while block:
            # A file without a buffer may take a part only.
            taken = target.write(block)
            block = block[len(block) if taken is None else taken :]
