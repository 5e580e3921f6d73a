"""Azurite, a real server that speaks as Azure Blob Storage does."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from azure.storage.blob import BlobServiceClient

from cachexport.testing.services import answers, free_port, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "devstoreaccount1"
# The key that Azurite has, and that its documentation tells everybody.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
OPTIONS = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]


@dataclass(frozen=True)
class Azurite:
    """A server that runs, with a container for each test."""

    url: str
    service: Any

    def fresh(self) -> str:
        """Give the name of a container that is not there yet."""
        return f"tests-{uuid4().hex}"

    def spec(self, container: str, attrs: str = "") -> str:
        login = f"account_url={self.url},account_name={ACCOUNT},secret_access_key={KEY}"
        return f"type=azblob,{login},container={container}" + (attrs and f",{attrs}")

    def put(self, container: str, key: str, raw: bytes) -> None:
        self.service.get_blob_client(container, key).upload_blob(raw, overwrite=True)

    def get(self, container: str, key: str) -> bytes:
        raw: bytes = self.service.get_blob_client(container, key).download_blob().readall()
        return raw

    def keys(self, container: str) -> list[str]:
        return list(self.service.get_container_client(container).list_blob_names())


@contextmanager
def running_azurite(folder: Path) -> Iterator[Azurite]:
    port = free_port()
    argv = [program("azurite-blob"), *OPTIONS, "--blobPort", str(port)]
    with running(argv, folder / "azurite.log", lambda _: answers(port)):
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        login = {"account_name": ACCOUNT, "account_key": KEY}
        with BlobServiceClient(url, credential=login) as service:
            yield Azurite(url, service)
