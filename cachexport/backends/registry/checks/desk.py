"""Asks a registry about one repository, as somebody who may do more or less there."""

from __future__ import annotations

import io
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from cachexport.backends.registry.checks.tiny import TinyCache, make_tiny_cache
from cachexport.backends.registry.client import Client
from cachexport.backends.registry.connections import Pools, Proxies
from cachexport.backends.registry.errors import TEMPORARY, network, refusal
from cachexport.backends.registry.login import Authorizer, find_login
from cachexport.backends.registry.repository import Repository
from cachexport.errors import Auth, BackendError, NotFound, RegistryError
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.attrs import RegistryExport
    from cachexport.backends.registry.login import StoredLogin
    from cachexport.errors import CachexportError
    from cachexport.model.envelope.manifest import Form
    from cachexport.oci.descriptor import Descriptor

_MAX_ANSWER = 64 << 10
"""Bytes of an answer that are read."""
_FINAL = frozenset(range(100, 600)) - TEMPORARY
"""Statuses that are an answer; after any other the client tries again."""
_GONE = (404, 410)
_MAX_REASON = 80
"""Letters of a registry's reason that are shown."""


class Role(StrEnum):
    """The actions that a token is asked for. Some registries refuse one for too many."""

    STRANGER = ""
    READER = "pull"
    WRITER = "pull,push"
    REMOVER = "pull,push,delete"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a registry answered, whatever it was."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    error: CachexportError
    """The same answer, for a check that fails with it."""

    @property
    def accepted(self) -> bool:
        """Whether what was asked for was done."""
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """The status and the first reason that the registry gave, for a line of text."""
        reasons = self.error.diagnostics if isinstance(self.error, RegistryError) else ()
        return f"{self.status}, {reasons[0][:_MAX_REASON]}" if reasons else str(self.status)


@dataclass(slots=True)
class Facts:
    """What the checks find out for the checks after them."""

    greeting: Reply | None = None
    """The answer to GET /v2/ without a login."""
    greeted_at: float = 0.0
    """When the registry gave it, by this machine's clock, in seconds since 1970."""
    cache: TinyCache = field(default_factory=make_tiny_cache)
    forms: dict[Form, Reply] = field(default_factory=dict)
    """What became of a manifest of each form."""
    tagged: Digest | None = None
    """The manifest that the throw-away tag names."""
    manifests: list[Digest] = field(default_factory=list)
    blobs: list[Digest] = field(default_factory=list)
    """Digests of what was written and is not known to be gone."""
    may_delete: bool = False
    """Whether a manifest was deleted, so that others can be."""
    is_clean: bool = False
    """Whether everything was removed that can be."""


class RegistryDesk:
    """Where the checks ask. Everything that they write has the throw-away `tag` or no tag.

    Logins and proxies are those of `env`.
    """

    def __init__(self, attrs: RegistryExport, env: Mapping[str, str]) -> None:
        self.attrs = attrs
        self.reference = attrs.ref
        self.tag = f"cachexport-doctor-{secrets.token_hex(8)}"
        self.path = f"/v2/{attrs.ref.repository}"
        self.place = attrs.ref.name
        self.facts = Facts()
        self._env = env
        self._clients: dict[str, Client] = {}

    def find_login(self) -> StoredLogin | None:
        """Give the login for the registry; None for an anonymous one. Raises Auth."""
        return find_login(self.reference.host, self._env)

    def proxy(self) -> str:
        """Give the URL of the proxy in between, without a login; empty for none."""
        found = Proxies(self._env).find(self.client(Role.STRANGER).base)
        return found.url if found else ""

    def client(self, role: Role) -> Client:
        """Give the client for a role."""
        return self._client(self.reference.repository, role)

    def repository(self, role: Role) -> Repository:
        """Give the repository as exports and imports see it."""
        return Repository(self.client(role), self.reference.repository, self.attrs.parallelism)

    def other_repository(self, name: str) -> tuple[Client, Repository]:
        """Give another repository of the registry, to be read only."""
        client = self._client(name, Role.READER)
        return client, Repository(client, name, self.attrs.parallelism)

    def ask(
        self,
        role: Role,
        method: str,
        path: str,
        *,
        op: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Ask until there is an answer. Raises BackendError when none comes, Auth without login.

        `path` may be a URL, as upload locations are.
        """
        try:
            response = self.client(role).call(
                method, path, op=op, expect=_FINAL, headers=headers, body=body
            )
        except RegistryError as error:
            return Reply(error.status, {}, b"", error)
        return self._reply(op, response)

    def ask_once(self, role: Role, method: str, path: str, *, op: str) -> Reply:
        """Ask without a retry, to measure the time. Raises as `ask` does."""
        return self._reply(op, self.client(role).send(method, path, op=op))

    def ingest(self, desc: Descriptor, raw: bytes) -> None:
        """Write a blob as exports do. Raises Auth, NotFound or BackendError."""
        self.facts.blobs.append(desc.digest)
        repository = self.repository(Role.WRITER)
        try:
            repository.retry.call(lambda: repository.ingest(desc, io.BytesIO(raw)))
        except Auth:
            self.facts.blobs.remove(desc.digest)
            raise

    def put_manifest(
        self,
        target: str,
        raw: bytes,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Put a manifest under a tag, or its digest if `target` is empty. `facts` lists it."""
        digest, written = Digest.of(raw), self.facts.manifests
        if digest not in written:
            # Before the request: the answer may get lost.
            written.append(digest)
        reply = self.ask(
            Role.WRITER,
            "PUT",
            f"{self.path}/manifests/{target or digest}",
            op=f"write a manifest to {self.place}",
            headers={"Content-Type": media_type, **(headers or {})},
            body=raw,
        )
        if not reply.accepted:
            written.remove(digest)
        elif target == self.tag:
            self.facts.tagged = digest
        return reply

    def delete(self, kind: str, digest: Digest) -> Reply:
        """Delete one of the `manifests` or `blobs`, as `kind` says; `facts` forgets it if gone."""
        op = f"delete {digest} of {self.place}"
        reply = self.ask(Role.REMOVER, "DELETE", f"{self.path}/{kind}/{digest}", op=op)
        if reply.accepted or reply.status in _GONE:
            (self.facts.manifests if kind == "manifests" else self.facts.blobs).remove(digest)
        return reply

    def delete_tag(self) -> None:
        """Delete the throw-away tag by its name, if the registry does that; many do not."""
        op = f"delete {self.place}:{self.tag}"
        with suppress(Auth):
            self.ask(Role.REMOVER, "DELETE", f"{self.path}/manifests/{self.tag}", op=op)

    def location(self, reply: Reply, **query: str) -> str:
        """Give the URL where an upload continues, with these parameters added."""
        url = urljoin(self.client(Role.WRITER).base, reply.headers.get("Location", ""))
        if not query:
            return url
        return url + ("&" if urlsplit(url).query else "?") + urlencode(query)

    def close(self) -> None:
        """Close all connections; twice is fine."""
        for client in self._clients.values():
            client.close()

    def _reply(self, op: str, response: BaseHTTPResponse) -> Reply:
        with network(op, self.reference.host):
            body = response.read(_MAX_ANSWER)
            response.drain_conn()
        error = refusal(op, self.place, response.status, body)
        if isinstance(error, NotFound):
            # To a caller NotFound means that there is no cache to read.
            error = BackendError(str(error), op=op)
        return Reply(response.status, response.headers, body, error)

    def _client(self, repository: str, role: Role) -> Client:
        scope = f"repository:{repository}:{role}"
        if scope not in self._clients:
            host, pools = self.reference.host, Pools(self.attrs, Proxies(self._env))
            kind = _Nobody if role is Role.STRANGER else Authorizer
            authorizer = kind(host, self.find_login, pools)
            self._clients[scope] = Client(host, scope, self.attrs, authorizer, pools)
        return self._clients[scope]


class _Nobody(Authorizer):
    """Sends no login, so that the registry's challenge comes back as it is."""

    def header(self, scope: str) -> str | None:
        return None

    def refused(self, header: str, scope: str, sent: str | None) -> bool:
        return False
