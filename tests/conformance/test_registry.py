"""A real registry does what every backend must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.services.exports import hasten
from support.services.push import push_blob, push_manifest

from cachexport import Descriptor
from cachexport.oci import mediatype
from cachexport.testing import BackendSuite, Harness

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.registry import Registry


IMAGE = (
    f'{{"schemaVersion":2,"mediaType":"{mediatype.OCI_MANIFEST}","config":'
    f"{Descriptor.of(b'{}', mediatype.OCI_CONFIG).encode()},"
    f'"layers":[{Descriptor.of(b"layer", mediatype.OCI_LAYER).encode()}]}}'
)


class TestRegistry(BackendSuite):
    @pytest.fixture
    def harness(
        self, registry: Registry, repo: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Harness:
        hasten(monkeypatch, tmp_path)

        def put_foreign(name: str) -> None:
            for blob in (b"{}", b"layer"):
                push_blob(registry.url, repo, blob)
            push_manifest(registry.url, repo, name, IMAGE.encode(), mediatype.OCI_MANIFEST)

        ref = f"type=registry,ref={registry.host}/{repo}"
        return Harness(
            spec=lambda name: f"{ref}:{name}",
            swaps=False,
            sweeps=False,
            put_foreign=put_foreign,
            lose=registry.delete_blob_file,
        )
