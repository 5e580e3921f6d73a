"""The entry point `azblob`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.plugin import ObjectBackend, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport_azblob.attrs import AzblobExport, AzblobImport

_ENV = "BUILDKIT_AZURE_STORAGE_"


class AzblobBackend(ObjectBackend):
    """Makes sources and targets of `type=azblob`. What they need is imported with the first."""

    kind = "azblob"
    reads_all_names = True

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env

    def attributes(self) -> tuple[type, type]:
        """See Described."""
        from cachexport_azblob.attrs import AzblobExport, AzblobImport

        return AzblobImport, AzblobExport

    def open_store(self, attrs: AzblobExport | AzblobImport, /) -> Store:
        """See ObjectBackend."""
        from cachexport.plugin import Keys
        from cachexport_azblob.attrs import AzblobExport
        from cachexport_azblob.client import AzblobClient
        from cachexport_azblob.connect import checked, connect
        from cachexport_azblob.keys import folder

        attrs = checked(self._with_defaults(attrs))
        prefix = attrs.prefix or ""
        keys = Keys(
            blobs=folder(prefix, attrs.blobs_prefix), names=folder(prefix, attrs.manifests_prefix)
        )
        part_size = attrs.part_size if isinstance(attrs, AzblobExport) else 0
        client = AzblobClient(lambda: connect(attrs), attrs, part_size)
        return Store(client=client, keys=keys, root=folder(prefix))

    def _with_defaults(self, attrs: AzblobExport | AzblobImport) -> AzblobExport | AzblobImport:
        """Fill in from the environment what the attributes leave out."""
        prefix = self._env.get(f"{_ENV}PREFIX", "") if attrs.prefix is None else attrs.prefix
        return replace(
            attrs,
            account_url=attrs.account_url or self._env.get(f"{_ENV}ACCOUNT_URL", ""),
            account_name=attrs.account_name or self._env.get(f"{_ENV}ACCOUNT_NAME", ""),
            container=attrs.container or self._env.get(f"{_ENV}CONTAINER") or "buildkit-cache",
            prefix=prefix,
        )


backend = AzblobBackend()
