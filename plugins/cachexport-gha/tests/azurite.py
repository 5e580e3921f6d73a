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


@contextmanager
def running_azurite(folder: Path) -> Iterator[Azurite]:
    port = free_port()
    argv = [program("azurite-blob"), *OPTIONS, "--blobPort", str(port)]
    with running(argv, folder / "azurite.log", lambda _: answers(port)):
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        login = {"account_name": ACCOUNT, "account_key": KEY}
        with BlobServiceClient(url, credential=login) as service:
            yield Azurite(url, service)
