"""A store that tells no ages does all that every backend must do, but for sweeping blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport.contract import discovery as plugins
from cachexport.plugin import Keys, ObjectBackend, ObjectExport, ObjectImport, Store
from cachexport.testing import BackendSuite, Harness, MemoryObjects

if TYPE_CHECKING:
    from cachexport.oci.digest import Digest

KEYS = Keys(blobs="blobs/", names="manifests/")


class Ageless(ObjectBackend):
    kind = "ageless"

    def __init__(self) -> None:
        self.client = MemoryObjects(tells_ages=False)

    def load(self) -> ObjectBackend:
        return self

    def attributes(self) -> tuple[type, type]:
        return ObjectImport, ObjectExport

    def open_store(self, attrs: object, /) -> Store:
        return Store(client=self.client, keys=KEYS, sweeps=False)


class TestAgeless(BackendSuite):
    @pytest.fixture
    def harness(self, monkeypatch: pytest.MonkeyPatch) -> Harness:
        backend = Ageless()
        together = {**plugins.installed_backends(), "ageless": backend}
        monkeypatch.setattr(plugins, "installed_backends", lambda: together)

        def put_foreign(name: str) -> None:
            backend.client.replace(KEYS.name(name), b"a poem", {}, version=None)

        def lose(digest: Digest) -> None:
            backend.client.delete(KEYS.blob(digest))

        return Harness(
            spec=lambda name: f"type=ageless,name={name}",
            swaps=True,
            sweeps=False,
            prunes=False,
            put_foreign=put_foreign,
            lose=lose,
        )
