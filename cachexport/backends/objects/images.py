"""Names of images and other manifests that are no caches. BuildKit never reads their keys.

The object of such a name has the descriptor of a manifest, and the manifest is a blob like others.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from cachexport.backends.objects.layout import pages
from cachexport.contract.place import Entry, Needs
from cachexport.contract.reading import (
    is_image_manifest,
    reached_sizes,
)
from cachexport.errors import Integrity, NotFound, WireFormat
from cachexport.oci import gojson
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.objects.client import Stored
    from cachexport.backends.objects.layout import Blobs
    from cachexport.oci.digest import Digest

FOLDER = "cachexport/images/"
"""The prefix of the keys of these names, below the root of a store."""


def is_image_name(key: str) -> bool:
    """Say whether a key is the name of an image, in this place or in one whose root is below."""
    return key.startswith(FOLDER) or f"/{FOLDER}" in key


@dataclass(frozen=True, slots=True)
class ImageNames:
    """The names of images below `root`."""

    blobs: Blobs
    root: str

    def list(self) -> list[Entry]:
        """List all names, sorted."""
        found = [stored for page in pages(self.blobs.client, self.folder) for stored in page]
        return sorted(map(self._entry, found), key=attrgetter("name"))

    def key(self, name: str) -> str:
        """Give the key of a name."""
        return self.folder + name

    def resolve(self, name: str) -> Descriptor:
        """Describe the manifest of a name. Raises NotFound, WireFormat."""
        return _described(self.blobs, self.key(name))

    def needs(self, name: str) -> Needs:
        """Say what a name needs.

        Raises NotFound when the name is gone, Integrity where a blob that it needs is, and what
        `reached_sizes` raises.
        """
        desc = self.resolve(name)
        try:
            sizes = reached_sizes(self.blobs, [desc])
            return Needs(is_cache=False, is_image=is_image_manifest(self.blobs, desc), sizes=sizes)
        except NotFound as error:
            if self.resolve(name) != desc:
                raise
            raise Integrity(
                f"{self.blobs.place}/{self.key(name)} leads nowhere: {error}"
            ) from error

    def assign(self, name: str, desc: Descriptor) -> None:
        """Give a name to a manifest, in place of the one that had it."""
        plain = Descriptor(media_type=desc.media_type, digest=desc.digest, size=desc.size)
        self.blobs.client.replace(self.key(name), plain.encode().encode(), {}, version=None)

    def unassign(self, name: str) -> None:
        """Take a name away; one that is not there is fine."""
        self.blobs.client.delete(self.key(name))

    @property
    def folder(self) -> str:
        """The prefix of the keys of these names."""
        return self.root + FOLDER

    def _entry(self, stored: Stored) -> Entry:
        name = stored.key.removeprefix(self.folder)
        return Entry(name=name, version=stored.version, modified=stored.modified, is_apart=True)


def needed_elsewhere(blobs: Blobs, key: str) -> Mapping[Digest, int]:
    """Give the blobs that a name of another place needs, with sizes, if it shares ours.

    It shares none where its manifest is not among ours. Raises WireFormat.
    """
    try:
        return reached_sizes(blobs, [_described(blobs, key)])
    except NotFound:
        return {}


def _described(blobs: Blobs, key: str) -> Descriptor:
    raw, _ = blobs.client.load(key)
    try:
        return Descriptor.decode(gojson.loads(raw))
    except WireFormat as error:
        problem = f"{blobs.client.place}/{key}: {error.problem}"
        raise WireFormat(problem, error.path) from error
