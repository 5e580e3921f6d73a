"""What every backend must do: in files, in memory, over SFTP, in a bucket and in anything else."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from cachexport_fsspec.client import FilesClient
from cachexport_fsspec.files import Files
from places import attrs_of, client_of

from cachexport.testing import BackendSuite, Harness, ObjectClientSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport_fsspec.gcs import GcsClient
    from places import Server

    from cachexport.plugin import Digest


def harness_of(server: Server, url: str, **more: Any) -> Harness:
    def put_foreign(name: str) -> None:
        with closing(client_of(server, url)) as client:
            client.replace(f"manifests/{name}", b'{"some":"thing"}', {}, version=None)

    def spec(name: str) -> str:
        return server.spec(url, f"name={name}")

    given = {"sweeps": True, "no_grace": "touch_refresh=0s", "put_foreign": put_foreign, **more}
    return Harness(spec=spec, **given)


class TestFiles(BackendSuite):
    @pytest.fixture
    def harness(self, files: Server) -> Harness:
        return harness_of(files, files.fresh(), swaps=True)


class TestMemory(BackendSuite):
    @pytest.fixture
    def harness(self, memory: Server) -> Harness:
        return harness_of(memory, memory.fresh(), swaps=True)


class TestSftp(BackendSuite):
    @pytest.fixture
    def harness(self, sftp: Server) -> Harness:
        return harness_of(sftp, sftp.fresh(), swaps=False)


class TestGcs(BackendSuite):
    @pytest.fixture
    def harness(self, gcs: Server) -> Harness:
        url = gcs.fresh()
        return harness_of(gcs, url, swaps=True)


class TestAnything(BackendSuite):
    """Files, of which nothing is known here but what fsspec says of all file systems."""

    @pytest.fixture
    def harness(self, files: Server, monkeypatch: pytest.MonkeyPatch) -> Harness:
        monkeypatch.setattr("cachexport_fsspec.kinds.kind_of", lambda url: Files)
        url = files.fresh()

        def lose(digest: Digest) -> None:
            with closing(client_of(files, url)) as client:
                client.delete(f"blobs/{digest}")

        return harness_of(
            files, url, swaps=False, sweeps=False, prunes=False, no_grace="", lose=lose
        )


class TestFilesClient(ObjectClientSuite):
    @pytest.fixture
    def client(self, files: Server) -> Iterator[FilesClient]:
        with closing(client_of(files, files.fresh())) as client:
            yield client


class TestMemoryClient(ObjectClientSuite):
    @pytest.fixture
    def client(self, memory: Server) -> Iterator[FilesClient]:
        with closing(client_of(memory, memory.fresh())) as client:
            yield client


class TestSftpClient(ObjectClientSuite):
    swaps = False

    @pytest.fixture
    def client(self, sftp: Server) -> Iterator[FilesClient]:
        with closing(client_of(sftp, sftp.fresh())) as client:
            yield client


class TestGcsClient(ObjectClientSuite):
    page_size = 5

    @pytest.fixture
    def client(self, gcs: Server) -> Iterator[GcsClient]:
        url = gcs.fresh()
        with closing(client_of(gcs, url)) as client:
            yield client


class TestAnyClient(ObjectClientSuite):
    """Memory, whose files are renamed by a copy."""

    swaps = False
    touches = False

    @pytest.fixture
    def client(self, memory: Server) -> Iterator[FilesClient]:
        with closing(FilesClient(attrs_of(memory.spec(memory.fresh())), Files)) as client:
            yield client
