"""A bucket in memory, as a backend that specifications name: `type=memory,name=…`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from cachexport.contract import discovery as plugins
from cachexport.plugin import Keys, ObjectBackend, ObjectExport, ObjectImport, Store
from cachexport.testing import MemoryObjects

if TYPE_CHECKING:
    import pytest

    from cachexport.plugin import ObjectClient

ROOT = "team/"
KEYS = Keys(blobs=f"{ROOT}blobs/", names=f"{ROOT}manifests/")
SPEC = "type=memory"


@dataclass
class Bucket(ObjectBackend):
    """Its `client` may be another one around `objects`, which hold what is stored."""

    kind: ClassVar[str] = "memory"
    objects: MemoryObjects = field(default_factory=lambda: MemoryObjects(time=time.time()))
    client: ObjectClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.objects

    def load(self) -> Bucket:
        return self

    def attributes(self) -> tuple[type, type]:
        return ObjectImport, ObjectExport

    def open_store(self, attrs: Any, /) -> Store:
        return Store(client=self.client, keys=KEYS, root=ROOT)


def installed(patch: pytest.MonkeyPatch) -> Bucket:
    """Install an empty one beside the other backends."""
    bucket = Bucket()
    together: dict[str, Any] = {**plugins.installed_backends(), Bucket.kind: bucket}
    patch.setattr(plugins, "installed_backends", lambda: together)
    return bucket
