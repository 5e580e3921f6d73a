"""GitHub's cache service and the API about it, as far as runners see them, before an Azurite.

As the real one: what is reserved is reserved for ever, what is saved never changes, a branch reads
its own caches and those of its base, and the newest that begins like a key is found.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
from azurite import ACCOUNT, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azurite import Azurite

TWIRP = "/twirp/github.actions.results.api.v1.CacheService/"
READ, WRITE = 1, 3
REPOSITORY = "team/app"
MAIN = "refs/heads/main"


def runner_token(**scopes: int) -> str:
    """Give a token for branches by their short names, in the order in which they are looked at."""
    access = [
        {"Scope": f"refs/heads/{name}", "Permission": permission}
        for name, permission in scopes.items()
    ]
    claims = {"ac": json.dumps(access), "exp": 4e9, "nbf": 0}
    return jwt.encode(claims, "a secret of GitHub's own, long enough", algorithm="HS256")


@dataclass
class Item:
    number: int
    ref: str
    key: str
    version: str
    blob: str
    size: int = -1
    created: float = field(default_factory=time.time)
    used: float = field(default_factory=time.time)

    @property
    def is_whole(self) -> bool:
        return self.size >= 0


class GitHub:
    """What is saved, and how it answers."""

    def __init__(self, azurite: Azurite) -> None:
        self.items: list[Item] = []
        self.calls: list[str] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Answers that the next calls get instead of their own."""
        self.seconds = 3600.0
        """How long a signed URL is good for."""
        self.url = ""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._azurite = azurite
        self._container = azurite.fresh()
        azurite.service.create_container(self._container)

    def spec(self, attrs: str = "", token: str = "", *, lists: bool = True) -> str:
        login = f"url_v2={self.url},api_url={self.url},token={token or runner_token(main=WRITE)}"
        listing = f",repository={REPOSITORY},ghtoken=secret" if lists else ""
        return f"type=gha,{login}{listing}" + (attrs and f",{attrs}")

    def keys(self) -> list[str]:
        return sorted(item.key for item in self.items if item.is_whole)

    def put(self, key: str, raw: bytes, ref: str = MAIN, version: str = "") -> None:
        from cachexport_gha.keys import VERSION

        item = self._new(ref, key, version or VERSION)
        self._blob(item).upload_blob(raw)
        item.size = len(raw)

    def get(self, key: str) -> bytes:
        [item] = [item for item in self.items if item.key == key]
        raw: bytes = self._blob(item).download_blob().readall()
        return raw

    def lose(self, key: str) -> None:
        with self._lock:
            self.items = [item for item in self.items if item.key != key]

    def twirp(self, method: str, body: Any, scopes: list[dict[str, Any]]) -> tuple[int, Any]:
        with self._lock:
            return getattr(self, f"_{method}")(body, scopes)

    def _CreateCacheEntry(self, body: Any, scopes: list[dict[str, Any]]) -> tuple[int, Any]:  # noqa: N802
        writes = [one["Scope"] for one in scopes if one["Permission"] & 2]
        if not writes:
            return 403, {"code": "permission_denied", "msg": "read only"}
        same = [
            item
            for item in self.items
            if (item.ref, item.key, item.version) == (writes[-1], body["key"], body["version"])
        ]
        if same:
            return 409, {"code": "already_exists", "msg": "cache entry already exists"}
        item = self._new(writes[-1], body["key"], body["version"])
        return 200, {"ok": True, "signed_upload_url": self._signed(item)}

    def _FinalizeCacheEntryUpload(self, body: Any, scopes: Any) -> tuple[int, Any]:  # noqa: N802
        found = [
            item
            for item in self.items
            if (item.key, item.version) == (body["key"], body["version"])
        ]
        size = int(body["size_bytes"])
        if not found or self._blob(found[-1]).get_blob_properties().size != size:
            return 400, {"code": "invalid_argument", "msg": "sizes differ"}
        found[-1].size = size
        return 200, {"ok": True, "entry_id": str(found[-1].number)}

    def _GetCacheEntryDownloadURL(self, body: Any, scopes: Any) -> tuple[int, Any]:  # noqa: N802
        for one in scopes:
            for key in (body["key"], *body["restore_keys"]):
                found = self._matching(one["Scope"], key, body["version"])
                if found is not None:
                    found.used = time.time()
                    return 200, {
                        "ok": True,
                        "matched_key": found.key,
                        "signed_download_url": self._signed(found),
                    }
        return 200, {"ok": False, "signed_download_url": "", "matched_key": ""}

    def list(self, query: dict[str, list[str]]) -> tuple[int, Any]:
        with self._lock:
            found = [
                {
                    "id": item.number,
                    "ref": item.ref,
                    "key": item.key,
                    "version": item.version,
                    "size_in_bytes": item.size,
                    "created_at": _time(item.created),
                    "last_accessed_at": _time(item.used),
                }
                for item in reversed(self.items)
                if item.is_whole and item.key.startswith(query.get("key", [""])[0])
            ]
        size, page = int(query["per_page"][0]), int(query["page"][0])
        part = found[(page - 1) * size : page * size]
        return 200, {"total_count": len(found), "actions_caches": part}

    def delete(self, query: dict[str, list[str]]) -> tuple[int, Any]:
        key, ref = query["key"][0], query["ref"][0]
        with self._lock:
            left = [item for item in self.items if (item.key, item.ref) != (key, ref)]
            is_gone = len(left) < len(self.items)
            self.items = left
        return (200, {}) if is_gone else (404, {"message": "Not Found"})

    def _new(self, ref: str, key: str, version: str) -> Item:
        number = next(self._numbers)
        item = Item(number, ref, key, version, f"blob-{number}")
        self.items.append(item)
        return item

    def _matching(self, ref: str, key: str, version: str) -> Item | None:
        whole = [i for i in self.items if i.is_whole and (i.ref, i.version) == (ref, version)]
        exact = [item for item in whole if item.key == key]
        beginning = [item for item in whole if item.key.startswith(key)]
        return next(reversed(exact or beginning), None)

    def _blob(self, item: Item) -> Any:
        return self._azurite.service.get_blob_client(self._container, item.blob)

    def _signed(self, item: Item) -> str:
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        sas = generate_blob_sas(
            ACCOUNT,
            self._container,
            item.blob,
            account_key=KEY,
            permission=BlobSasPermissions(read=True, write=True, create=True),
            expiry=datetime.now(UTC) + timedelta(seconds=self.seconds),
        )
        return f"{self._blob(item).url}?{sas}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


@contextmanager
def running_github(azurite: Azurite) -> Iterator[GitHub]:
    github = GitHub(azurite)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(self.path.removeprefix(TWIRP), body)

        def do_GET(self) -> None:
            self._answer("GET", None)

        def do_DELETE(self) -> None:
            self._answer("DELETE", None)

        def _answer(self, what: str, body: Any) -> None:
            github.calls.append(what)
            if github.refusals:
                status, headers = github.refusals.pop(0)
                self._send(status, {"code": "unavailable"}, headers)
                return
            token = self.headers["Authorization"].removeprefix("Bearer ")
            query = parse_qs(urlsplit(self.path).query)
            if what in ("GET", "DELETE"):
                is_right = token == "secret" and f"/repos/{REPOSITORY}/" in self.path
                do = github.list if what == "GET" else github.delete
                status, answer = do(query) if is_right else (401, {"message": "Bad credentials"})
            else:
                claims = jwt.decode(token, options={"verify_signature": False})
                status, answer = github.twirp(what, body, json.loads(claims["ac"]))
            self._send(status, answer, {})

        def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
            raw = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    github.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
