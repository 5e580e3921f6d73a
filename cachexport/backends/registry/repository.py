"""One repository of a registry: its manifests and blobs by the distribution API."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from cachexport.backends.registry.download import open_download
from cachexport.backends.registry.errors import network
from cachexport.backends.registry.mounts import Mounts
from cachexport.backends.registry.uploads import Uploader
from cachexport.content.parallel import map_parallel
from cachexport.content.protocols import Distributed
from cachexport.content.verify import BLOCK
from cachexport.errors import (
    BackendError,
    FailedPrecondition,
    Integrity,
    InvalidDigest,
    NotFound,
    RegistryError,
)
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.client import Client
    from cachexport.content.protocols import Provider, Reader
    from cachexport.content.retry import Retry

# docker-registry answers 404 to `*/*`: the exact types have to be named.
_MANIFEST_TYPES = ", ".join(sorted(mediatype.MANIFESTS | mediatype.INDEXES))
_IS_MANIFEST = mediatype.MANIFESTS | mediatype.INDEXES
HOW_TO_DELETE = (
    "allow deletion in the registry (docker-registry: storage.delete.enabled; cachexport serve: "
    "--allow-delete), or remove old caches in the registry's own way"
)
_NOT_ALLOWED = 405
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


class Repository:
    """Provider, Ingester and Mounter over a repository. Threads may share it.

    `mount_from` names other repositories of the registry, from which `missing` mounts blobs.
    """

    def __init__(
        self, client: Client, name: str, parallelism: int, mount_from: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.host = client.host
        """As in references."""
        self.place = f"{client.host}/{name}"
        """For messages."""
        self._client = client
        self._path = f"/v2/{name}"
        self._parallelism = parallelism
        self._mount_from = mount_from
        self._is_registry = False
        self.mounts = Mounts(client, name, self.place)
        self._uploads = Uploader(client, self._path, self.place, self._holds)

    @property
    def retry(self) -> Retry:
        """See Retrying."""
        return self._client.retry

    def close(self) -> None:
        """Close all connections; twice is fine."""
        self._client.close()

    def resolve(self, target: str) -> Descriptor:
        """Describe the manifest under a tag or digest. Raises NotFound."""
        try:
            response = self._ask_manifest("HEAD", target)
        except NotFound:
            if not self._is_registry:
                self._client.check_registry()
                self._is_registry = True
            raise
        response.drain_conn()
        digest = _digest(response)
        size = response.headers.get("Content-Length", "")
        if digest and size.isdigit():
            return Descriptor(media_type=_media_type(response), digest=digest, size=int(size))
        # The answer to a HEAD may lack them.
        response = self._ask_manifest("GET", target)
        with network(f"ask for {self._named(target)}", self.host):
            return Descriptor.of(response.read(), _media_type(response))

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider. A download that breaks off goes on from there."""
        kind = "manifests" if desc.media_type in _IS_MANIFEST else "blobs"
        path = f"{self._path}/{kind}/{desc.digest}"
        headers = {"Accept": _MANIFEST_TYPES} if kind == "manifests" else {}
        return open_download(self._client, path, headers, f"read {desc.digest} of {self.place}")

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. Asks for each blob, many at once; one of another size is missing.

        Missing blobs are mounted from the repositories of `mount_from` as far as they have them.
        """
        wanted = list(descs)
        there = map_parallel(self._holds, wanted, self._parallelism)
        lacking = [desc for desc, held in zip(wanted, there, strict=True) if not held]
        for name in self._mount_from:
            lacking = self.mounts.mount_all(lacking, name, self._parallelism)
        return {desc.digest for desc in lacking}

    def sizes(self, digests: Iterable[Digest], /) -> dict[Digest, int]:
        """See SizeProvider. Asks for each blob, many at once."""
        wanted = list(digests)
        sizes = map_parallel(self._size, wanted, self._parallelism)
        return {
            digest: size for digest, size in zip(wanted, sizes, strict=True) if size is not None
        }

    def repositories(self, digest: Digest, /) -> dict[str, tuple[str, ...]]:
        """See Distributed."""
        return {self.host: (self.name,)}

    def mount(self, desc: Descriptor, provider: Provider, /) -> bool:
        """See Mounter. A registry mounts blobs from its other repositories."""
        if not isinstance(provider, Distributed):
            return False
        beside = provider.repositories(desc.digest).get(self.host, ())
        return any(self.mounts.mount_known(desc, name) for name in beside if name != self.name)

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester. A manifest is put under its digest, as the API has it."""
        if desc.media_type in _IS_MANIFEST:
            raw = b"".join(iter(lambda: reader.read(BLOCK), b""))
            self.put_manifest(str(desc.digest), raw, desc.media_type)
        else:
            self._uploads.put(desc, reader)

    def put_manifest(
        self,
        target: str,
        raw: bytes,
        media_type: str,
        before_retry: Callable[[], object] | None = None,
    ) -> None:
        """Store a manifest under a tag or digest. `before_retry` is as in `Client.call`.

        Raises as that does, and Integrity when the registry says that other bytes arrived.
        """
        response = self._client.call(
            "PUT",
            f"{self._path}/manifests/{quote(target, safe=':')}",
            op=f"write the manifest {self._named(target)}",
            headers={"Content-Type": media_type},
            body=raw,
            expect=(201,),
            before_retry=before_retry,
        )
        response.drain_conn()
        arrived = response.headers.get("Docker-Content-Digest")
        digest = Digest.of(raw)
        if arrived and arrived != digest:
            raise Integrity(f"{self.place}: wrote the manifest {digest}, but {arrived} arrived")

    def delete_manifest(self, digest: Digest) -> bool:
        """Delete a manifest with all of its tags. Says whether the registry did so."""
        try:
            self._delete_manifest(digest)
        except (BackendError, NotFound):
            return False
        return True

    def remove_manifest(self, digest: str) -> None:
        """Delete a manifest with all of its tags; fine if it is not there.

        Raises FailedPrecondition where the registry allows no deletion, Auth or BackendError.
        """
        try:
            self._delete_manifest(digest)
        except NotFound:
            return
        except RegistryError as error:
            if error.status != _NOT_ALLOWED:
                raise
            raise FailedPrecondition(f"{error}; {HOW_TO_DELETE}") from error

    def tags(self) -> list[str]:
        """List the tags, each once. Raises NotFound when there is no such repository."""
        tags: dict[str, None] = {}
        path: str | None = f"{self._path}/tags/list"
        seen: set[str] = set()
        while path:
            if path in seen:
                raise BackendError(f"{self.place}: the list of tags has no end", op="list")
            seen.add(path)
            response = self._client.call("GET", path, op=f"list {self.place}", expect=(200,))
            with network(f"list {self.place}", self.host):
                raw = response.read()
            tags |= dict.fromkeys(_tags(raw, self.place))
            path = _next_page(response, path)
        return list(tags)

    def _delete_manifest(self, digest: str) -> None:
        path, op = f"{self._path}/manifests/{digest}", f"delete {self.place}@{digest}"
        scope = f"repository:{self.name}:pull,push,delete"
        self._client.call("DELETE", path, op=op, expect=(200, 202), scope=scope).drain_conn()

    def _holds(self, desc: Descriptor) -> bool:
        return self._size(desc.digest, desc.size) == desc.size

    def _size(self, digest: Digest, default: int | None = None) -> int | None:
        """Give a blob's bytes; None when it is not there, `default` if no size is given."""
        try:
            response = self._client.call(
                "HEAD",
                f"{self._path}/blobs/{digest}",
                op=f"look for {digest} in {self.place}",
                expect=(200,),
            )
        except NotFound:
            return None
        response.drain_conn()
        size = response.headers.get("Content-Length")
        return int(size) if size and size.isdigit() else default

    def _named(self, target: str) -> str:
        return f"{self.place}{'@' if ':' in target else ':'}{target}"

    def _ask_manifest(self, method: str, target: str) -> BaseHTTPResponse:
        return self._client.call(
            method,
            f"{self._path}/manifests/{quote(target, safe=':')}",
            op=f"ask for {self._named(target)}",
            headers={"Accept": _MANIFEST_TYPES},
            expect=(200,),
        )


def _tags(raw: bytes, place: str) -> list[str]:
    try:
        # Some registries answer null for a repository without tags.
        return [str(tag) for tag in json.loads(raw)["tags"] or ()]
    except (ValueError, KeyError, TypeError) as error:
        message = f"{place}: the registry's list of tags cannot be understood"
        raise BackendError(message, op="list") from error


def _next_page(response: BaseHTTPResponse, path: str) -> str | None:
    found = _NEXT.search(response.headers.get("Link", ""))
    return urljoin(path, found[1]) if found else None


def _digest(response: BaseHTTPResponse) -> Digest | None:
    with suppress(InvalidDigest):
        return Digest.parse(response.headers.get("Docker-Content-Digest", ""))
    return None


def _media_type(response: BaseHTTPResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip()
