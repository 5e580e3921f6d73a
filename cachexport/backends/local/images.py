"""Writing images to an OCI image layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names
from cachexport.content.copy import ingest_bytes
from cachexport.content.parallel import DEFAULT_THREADS
from cachexport.images.names import name_entries

if TYPE_CHECKING:
    from cachexport.backends.local.attrs import LocalImagePush
    from cachexport.content.protocols import Ingester
    from cachexport.oci.descriptor import Descriptor


class LocalImageTarget:
    """An ImageTarget over `dest`, an OCI image layout or a directory that becomes one."""

    def __init__(self, attrs: LocalImagePush) -> None:
        self._attrs = attrs
        self._layout = Layout(Path(attrs.dest))
        self._ingester = LayoutIngester(self._layout)

    def __str__(self) -> str:
        return self._attrs.name or self._attrs.dest

    @property
    def ingester(self) -> Ingester:
        """See ImageTarget."""
        return self._ingester

    @property
    def parallelism(self) -> int:
        """See ImageTarget."""
        return DEFAULT_THREADS

    def check(self) -> None:
        """See ImageTarget. Images have names of their own here, so there is nothing to replace."""
        self._ingester.missing(())

    def publish(self, root: Descriptor, raw: bytes, /) -> None:
        """See ImageTarget. Without a name it is an entry of the index that has none."""
        ingest_bytes(self._ingester, root, raw)
        self._ingester.sync()
        names = self._attrs.name.split(",") if self._attrs.name else ()
        entries = name_entries(root, names)
        Names(self._layout).change(lambda index: index.with_images(entries))

    def close(self) -> None:
        """See ImageTarget."""
        self._ingester.close()
