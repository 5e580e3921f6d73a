"""One repository of a registry: its manifests and blobs, as the distribution API has them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urljoin, urlsplit

from cachexport.backends.registry.download import BlobReader
from cachexport.content.verify import BLOCK
from cachexport.errors import BackendError, Integrity, NotFound
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest
from cachexport.transfer.parallel import map_parallel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.client import Client
    from cachexport.content.protocols import Reader

# docker-registry answers 404 to `*/*`: the exact types have to be named.
_MANIFEST_TYPES = ", ".join(sorted(mediatype.MANIFESTS | mediatype.INDEXES))
_IS_MANIFEST = mediatype.MANIFESTS | mediatype.INDEXES


class Repository:
    """Provider and Ingester over a repository. Threads may share it."""

    def __init__(self, client: Client, name: str, parallelism: int) -> None:
        self._client = client
        self._path = f"/v2/{name}"
        self._parallelism = parallelism
        self.place = f"{client.host}/{name}"
        """For messages."""

    def close(self) -> None:
        """Close all connections; twice is fine."""
        self._client.close()

    def resolve(self, target: str) -> Descriptor:
        """Describe the manifest under a tag or digest. Raises NotFound."""
        response = self._ask_manifest("HEAD", target)
        response.drain_conn()
        digest = response.headers.get("Docker-Content-Digest", "")
        size = response.headers.get("Content-Length", "")
        if digest and size.isdigit():
            return Descriptor(
                media_type=_media_type(response), digest=Digest.parse(digest), size=int(size)
            )
        # The answer to a HEAD need not tell all.
        response = self._ask_manifest("GET", target)
        return Descriptor.of(response.read(), _media_type(response))

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider. What breaks off is asked for again from where it broke."""
        kind = "manifests" if desc.media_type in _IS_MANIFEST else "blobs"
        path = f"{self._path}/{kind}/{desc.digest}"
        headers = {"Accept": _MANIFEST_TYPES} if kind == "manifests" else {}
        return BlobReader(self._client, path, headers, f"read {desc.digest} of {self.place}")

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. Asks for each blob, many at once; one of another size is missing."""
        wanted = list(descs)
        there = map_parallel(self._holds, wanted, self._parallelism)
        return {desc.digest for desc, held in zip(wanted, there, strict=True) if not held}

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester. Manifests go where the API has them, under their digest."""
        if desc.media_type in _IS_MANIFEST:
            raw = b"".join(_blocks(reader))
            self.put_manifest(str(desc.digest), raw, desc.media_type)
            return
        location = self._begin_upload(desc)
        response = self._client.send(
            "PUT",
            location,
            op=f"write {desc.digest} to {self.place}",
            headers={
                "Content-Length": str(desc.size),
                "Content-Type": "application/octet-stream",
            },
            body=_blocks(reader),
        )
        self._client.check(f"write {desc.digest} to {self.place}", response, (201,))
        response.drain_conn()

    def put_manifest(self, target: str, raw: bytes, media_type: str) -> None:
        """Store a manifest under a tag or digest."""
        response = self._client.call(
            "PUT",
            f"{self._path}/manifests/{quote(target)}",
            op=f"write the manifest {self.place}:{target}",
            headers={"Content-Type": media_type},
            body=raw,
            expect=(201,),
        )
        response.drain_conn()
        told = response.headers.get("Docker-Content-Digest")
        digest = Digest.of(raw)
        if told and told != digest:
            raise Integrity(f"{self.place}: wrote the manifest {digest}, but {told} arrived")

    def delete_manifest(self, digest: Digest) -> bool:
        """Delete a manifest and every tag of it. Says whether the registry did so."""
        path, op = f"{self._path}/manifests/{digest}", f"delete {self.place}@{digest}"
        try:
            self._client.call("DELETE", path, op=op, expect=(200, 202)).drain_conn()
        except (BackendError, NotFound):
            return False
        return True

    def _begin_upload(self, desc: Descriptor) -> str:
        response = self._client.call(
            "POST",
            f"{self._path}/blobs/uploads/",
            op=f"begin to write to {self.place}",
            body=b"",
            expect=(202,),
        )
        response.drain_conn()
        location = response.headers.get("Location")
        if not location:
            raise BackendError(f"{self.place}: gave no place to upload to", op="begin to write")
        url = urljoin(self._client.base, location)
        joint = "&" if urlsplit(url).query else "?"
        return url + joint + urlencode({"digest": str(desc.digest)})

    def _holds(self, desc: Descriptor) -> bool:
        try:
            response = self._client.call(
                "HEAD",
                f"{self._path}/blobs/{desc.digest}",
                op=f"look for {desc.digest} in {self.place}",
                expect=(200,),
            )
        except NotFound:
            return False
        response.drain_conn()
        size = response.headers.get("Content-Length")
        return size is None or size == str(desc.size)

    def _ask_manifest(self, method: str, target: str) -> BaseHTTPResponse:
        return self._client.call(
            method,
            f"{self._path}/manifests/{quote(target)}",
            op=f"find {self.place}:{target}",
            headers={"Accept": _MANIFEST_TYPES},
            expect=(200,),
        )


def _media_type(response: BaseHTTPResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip()


def _blocks(reader: Reader) -> Iterator[bytes]:
    return iter(lambda: reader.read(BLOCK), b"")
