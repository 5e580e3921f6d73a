"""Names of manifests that are no caches. They lie where BuildKit never looks.

Each is an object that holds the descriptor of a manifest, which is a blob like all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.envelope.reach import reached_sizes
from cachexport.errors import NotFound, WireFormat
from cachexport.objectlayout.listing import pages
from cachexport.oci import gojson
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.objectlayout.blobs import Blobs
    from cachexport.oci.digest import Digest

FOLDER = "cachexport/images/"
"""What the keys of these names begin with, below the root of a store."""


def is_assigned(key: str) -> bool:
    """Say whether a key is one of these names, of this place or of one whose root is below."""
    return key.startswith(FOLDER) or f"/{FOLDER}" in key


@dataclass(frozen=True, slots=True)
class Assigned:
    """The names below `root`."""

    blobs: Blobs
    root: str

    def list(self) -> list[str]:
        """List all names, sorted."""
        found = [stored for page in pages(self.blobs.client, self._folder) for stored in page]
        return sorted(stored.key.removeprefix(self._folder) for stored in found)

    def resolve(self, name: str) -> Descriptor:
        """Describe the manifest of a name. Raises NotFound, WireFormat."""
        return _described(self.blobs, self._folder + name)

    def needs(self, name: str) -> Mapping[Digest, int]:
        """Give every blob that a name needs. Raises as `reached_sizes` does."""
        return needed(self.blobs, self._folder + name)

    def assign(self, name: str, desc: Descriptor) -> None:
        """Give a name to a manifest, in place of the one that had it."""
        plain = Descriptor(media_type=desc.media_type, digest=desc.digest, size=desc.size)
        self.blobs.client.replace(self._folder + name, plain.encode().encode(), {}, version=None)

    def unassign(self, name: str) -> None:
        """Take a name away; one that is not there is fine."""
        self.blobs.client.delete(self._folder + name)

    @property
    def _folder(self) -> str:
        return self.root + FOLDER


def needed(blobs: Blobs, key: str) -> Mapping[Digest, int]:
    """Give every blob that the name under `key` needs. Raises as `reached_sizes` does."""
    return reached_sizes(blobs, [_described(blobs, key)])


def needed_elsewhere(blobs: Blobs, key: str) -> Mapping[Digest, int]:
    """Give what a name of another place needs of these blobs, which it may share with us.

    That is nothing where its manifest is not among them. Raises WireFormat.
    """
    try:
        return needed(blobs, key)
    except NotFound:
        return {}


def _described(blobs: Blobs, key: str) -> Descriptor:
    raw, _ = blobs.client.load(key)
    try:
        return Descriptor.decode(gojson.loads(raw))
    except WireFormat as error:
        problem = f"{blobs.client.place}/{key}: {error.problem}"
        raise WireFormat(problem, error.path) from error
