"""Writing images to a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import AlreadyExists, BackendError, NotFound, WireFormat
from cachexport.model.envelope.manifest import decode_manifest

if TYPE_CHECKING:
    from cachexport.backends.registry.attrs import RegistryImagePush
    from cachexport.backends.registry.repository import Repository
    from cachexport.content.protocols import Ingester
    from cachexport.oci.descriptor import Descriptor


class RegistryImageTarget:
    """An ImageTarget over a reference."""

    def __init__(self, attrs: RegistryImagePush, repository: Repository) -> None:
        self._attrs = attrs
        self._repository = repository

    def __str__(self) -> str:
        return str(self._attrs.ref)

    @property
    def ingester(self) -> Ingester:
        """See ImageTarget."""
        return self._repository

    @property
    def parallelism(self) -> int:
        """See ImageTarget."""
        return self._attrs.parallelism

    def check(self) -> None:
        """See ImageTarget."""
        if not self._attrs.force and self._holds_a_cache():
            raise AlreadyExists(
                f"{self} is a build cache; choose another tag, or replace it with force=true"
            )

    def publish(self, root: Descriptor, raw: bytes, /) -> None:
        """See ImageTarget."""
        try:
            self._repository.put_manifest(self._attrs.ref.tag, raw, root.media_type)
        except NotFound as error:
            # To a caller NotFound means that the image to push is not there.
            raise BackendError(str(error), op="write the manifest") from error

    def close(self) -> None:
        """See ImageTarget."""
        self._repository.close()

    def _holds_a_cache(self) -> bool:
        try:
            found = self._repository.resolve(self._attrs.ref.tag)
            raw = read_blob(self._repository, found, limit=METADATA_LIMIT)
            return decode_manifest(raw).cache_config is not None
        except (NotFound, WireFormat):
            return False
