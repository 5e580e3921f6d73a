"""Reading caches from a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.contract.reading import read_caches

if TYPE_CHECKING:
    from cachexport.backends.registry.repository import Repository
    from cachexport.content.protocols import Provider
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.reference import Reference


class RegistrySource:
    """A Source over what a reference names: a cache, or images with inline caches."""

    def __init__(self, ref: Reference, repository: Repository) -> None:
        self._ref = ref
        self._repository = repository

    @property
    def provider(self) -> Provider:
        """See Source."""
        return self._repository

    def load(self) -> tuple[Cache, ...]:
        """See Source."""
        return read_caches(self._repository, self.resolve())

    def resolve(self) -> Descriptor:
        """See ImageSource."""
        return self._repository.resolve(self._ref.target)

    def close(self) -> None:
        """See Source."""
        self._repository.close()
