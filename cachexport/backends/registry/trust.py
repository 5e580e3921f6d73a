"""Whether a registry keeps its word: that a manifest that it has is one of blobs that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.errors import BackendError, NotFound, RegistryError
from cachexport.model.envelope.manifest import encode_manifest
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.backends.registry.repository import Repository
    from cachexport.model.envelope.manifest import (
        Form,
    )

_ABSENT = b"cachexport: nobody has these bytes as a blob"
_BLOB_UNKNOWN = ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")
"""Codes with which registries say that a manifest names a blob that they lack."""


def refuses_missing_blobs(repository: Repository, form: Form) -> bool:
    """Show the registry a manifest of blobs that it cannot have; say whether it refuses it.

    It does not get a tag, and one that is taken is deleted again as far as that is allowed. It is
    always the same, so a registry has it once at most.
    """
    layer = Descriptor.of(_ABSENT, mediatype.OCI_LAYER)
    raw = encode_manifest(form, [layer], Descriptor.of(_ABSENT + b"!", mediatype.CACHE_CONFIG_V0))
    digest = Digest.of(raw)
    try:
        repository.put_manifest(str(digest), raw, form.media_type)
    except RegistryError as error:
        return lacks_blobs(error)
    except (BackendError, NotFound):
        return False
    repository.delete_manifest(digest)
    return False


def lacks_blobs(error: RegistryError) -> bool:
    """Say whether a manifest was refused because of a blob that is not there."""
    return any(said.startswith(_BLOB_UNKNOWN) for said in error.diagnostics)
