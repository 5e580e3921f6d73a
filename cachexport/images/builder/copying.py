"""Layers that put files of this machine somewhere into an image, as a Dockerfile's COPY does."""

from __future__ import annotations

import hashlib
import os
import pathlib
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.images.builder.changes import Change, Policy, check_names
from cachexport.images.builder.layers import read_blocks, store_blocks
from cachexport.images.builder.limits import Limits, Meter
from cachexport.images.builder.names import parse_destination
from cachexport.images.builder.pack import pack
from cachexport.images.builder.root import Root
from cachexport.images.builder.tree import scan
from cachexport.images.builder.unpack import Rights, unpack
from cachexport.oci.compression import Compression
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.content.protocols import Ingester
    from cachexport.images.builder.names import Path
    from cachexport.images.builder.tree import Tree
    from cachexport.oci.descriptor import Descriptor

AS_COPIED = Policy(mtime=0, owner=(0, 0))
"""Files are root's, and their times say nothing: so the same files make the same layer."""
_UNLIMITED = Limits(entries=None, bytes=None, ratio=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """Files that are to be copied into an image.

    What is in the directory `source` gets into `destination`. A file gets that name, or its own in
    there when `destination` is a directory by its spelling: `/`, `app/`. `exclude` are patterns as
    in `.dockerignore`, for paths in a directory. A link that `source` is stands for what it leads
    to; others stay links.
    """

    source: pathlib.Path
    destination: str
    exclude: tuple[str, ...] = ()

    def digest(self) -> Digest:
        """Read the files, and give the digest of all that counts of them: not times nor owners.

        Raises as `copy_layer` does.
        """
        hasher = hashlib.sha256()
        for block in self.blocks(AS_COPIED):
            hasher.update(block)
        return Digest.from_hasher(hasher)

    def blocks(self, policy: Policy) -> Iterator[bytes]:
        """Give the blocks of the layer's archive. Directories above have no entries in it."""
        with translated("read", self.source):
            place = pathlib.Path(os.path.realpath(self.source, strict=True))
            found = _without(scan(place), self.exclude)
            check_names(found)
            is_directory = found[()].is_directory
            # What the image has at the destination keeps its mode: an entry would change it.
            if is_directory and len(found) > 1:
                del found[()]
            changes = [Change(path, policy.applied(node)) for path, node in found.items()]
            yield from pack(changes, place, self._below(is_directory=is_directory))

    def _below(self, *, is_directory: bool) -> Path:
        below = parse_destination(self.destination)
        into = not below or self.destination.endswith(("/", "/."))
        return below if is_directory or not into else (*below, self.source.name)


def copy_layer(
    target: Ingester,
    copying: Copying,
    *,
    policy: Policy = AS_COPIED,
    compression: Compression = Compression.GZIP,
    level: int | None = None,
) -> Descriptor:
    """Put the layer that has these files into `target`, and give its descriptor.

    Equal files give the same bytes. Raises as `diff_layer` does.
    """
    return store_blocks(copying.blocks(policy), target, compression, level)


def copy_into(
    copying: Copying,
    root: pathlib.Path,
    *,
    policy: Policy = AS_COPIED,
    rights: Rights | None = None,
) -> None:
    """Put the files into the directory `root`, as the layer would when it is unpacked there.

    So links in `root` are followed as if it were `/`. A file gets into a directory that is there
    under its name. Raises as `unpack_layer` does.
    """
    if copying.source.is_file() and _is_directory(root, copying.destination):
        copying = replace(copying, destination=f"{copying.destination}/")
    meter = Meter(_UNLIMITED, f"the copy of {copying.source}")
    unpack(
        read_blocks(copying.blocks(policy)), root, rights or Rights(), meter, str(copying.source)
    )


def _is_directory(root: pathlib.Path, destination: str) -> bool:
    """Say whether there is a directory where a path leads in the root."""
    path = parse_destination(destination)
    if not path:
        return False
    with Root(root) as opened, opened.at(path) as spot:
        status = spot.status
    return status is not None and stat.S_ISDIR(status.st_mode)


def _without(found: Tree, exclude: Sequence[str]) -> Tree:
    """Leave out what matches, but for directories of which something else stays."""
    if not exclude:
        return found
    from docker.utils.build import PatternMatcher

    matcher = PatternMatcher(exclude)
    matcher.patterns.pop()  # its own exception, for a file that daemons read
    stay: set[Path] = {()}
    for path in found:
        if path and not matcher.matches(os.sep.join(path)):
            stay.update(path[:length] for length in range(1, len(path) + 1))
    return {path: node for path, node in found.items() if path in stay}
