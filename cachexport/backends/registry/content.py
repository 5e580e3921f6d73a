"""All content of a repository by digest alone, where the API keeps manifests and blobs apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.protocols import Info
from cachexport.errors import NotFound

if TYPE_CHECKING:
    from cachexport.backends.registry.repository import Repository
    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class RegistryContent:
    """Provider and InfoProvider over blobs and manifests."""

    repository: Repository

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        found = self.repository.sizes([digest])
        if digest in found:
            return Info(digest, found[digest])
        return Info(digest, self.repository.resolve(digest).size)

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        try:
            return self.repository.open(desc)
        except NotFound:
            if desc.media_type:
                raise
            known = self.repository.resolve(desc.digest)
            return self.repository.open(replace(desc, media_type=known.media_type))
