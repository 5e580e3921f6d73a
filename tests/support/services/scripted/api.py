"""The distribution API over a store: a request in, a reply out, nothing of HTTP's wire.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

from support.services.messages import Refusal, Reply, json_reply
from support.services.scripted.store import Store, StoredManifest, Upload, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.services.messages import Request

_ROUTES = [
    ("base", re.compile(r"/v2/")),
    ("tags", re.compile(r"/v2/(.+)/tags/list")),
    ("manifest", re.compile(r"/v2/(.+)/manifests/([^/]+)")),
    ("start", re.compile(r"/v2/(.+)/blobs/uploads/?")),
    ("upload", re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)")),
    ("blob", re.compile(r"/v2/(.+)/blobs/([^/]+)")),
]
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Distribution:
    """Strict where registries differ: a manifest is only given to who accepts its very type.

    `checks_blobs`: a manifest needs its blobs. `mounts`: blobs come from other repositories.
    `moves`: an upload goes on at the Location of the last answer only.
    `refused`: media types, of a manifest or its config, with the refusal that they get.
    """

    def __init__(self) -> None:
        self.store = Store()
        self.checks_blobs = True
        self.mounts = True
        self.moves = False
        self.refused: dict[str, Refusal] = {}
        self._actions: dict[tuple[str, str], Callable[..., Reply]] = {
            ("GET", "base"): self._base,
            ("GET", "tags"): self._tags,
            ("GET", "manifest"): self._get_manifest,
            ("PUT", "manifest"): self._put_manifest,
            ("DELETE", "manifest"): self._delete_manifest,
            ("GET", "blob"): self._get_blob,
            ("DELETE", "blob"): self._delete_blob,
            ("POST", "start"): self._start,
            ("GET", "upload"): self._progress,
            ("PATCH", "upload"): self._append,
            ("PUT", "upload"): self._finish,
            ("DELETE", "upload"): self._cancel,
        }

    def answer(self, request: Request) -> Reply:
        method = "GET" if request.method == "HEAD" else request.method
        for kind, pattern in _ROUTES:
            if match := pattern.fullmatch(request.path):
                action = self._actions.get((method, kind))
                return _attempt(action or _unsupported, request, match)
        return Refusal(404, "UNSUPPORTED", "no such resource").reply()

    def _base(self, request: Request) -> Reply:
        return json_reply({})

    def _tags(self, request: Request, repo: str) -> Reply:
        last, count = request.query.get("last", ""), int(request.query.get("n", 1000))
        rest = [tag for tag in sorted(self.store.repository(repo).tags) if tag > last]
        page = rest[:count]
        answer = {"name": repo, "tags": page}
        if page == rest:
            return json_reply(answer)
        following = f"/v2/{repo}/tags/list?n={count}&last={page[-1] if page else last}"
        return json_reply(answer, Link=f'<{following}>; rel="next"')

    def _get_manifest(self, request: Request, repo: str, reference: str) -> Reply:
        digest, manifest = self.store.repository(repo).manifest(reference)
        if manifest.media_type not in ",".join(request.headers.get_all("Accept", [])):
            raise Refusal(404, "MANIFEST_UNKNOWN", f"only as {manifest.media_type}")
        headers = {"Content-Type": manifest.media_type, "Docker-Content-Digest": digest}
        return Reply(200, headers, manifest.raw)

    def _put_manifest(self, request: Request, repo: str, reference: str) -> Reply:
        manifest = StoredManifest(request.headers.get("Content-Type", ""), request.body)
        for media_type in manifest.media_types() & self.refused.keys():
            raise self.refused[media_type]
        lacking = self.store.repositories[repo].lacks(manifest) if self.checks_blobs else []
        if lacking:
            raise Refusal(400, "MANIFEST_BLOB_UNKNOWN", lacking[0])
        digest = self.store.repositories[repo].put(reference, manifest)
        location = f"/v2/{repo}/manifests/{digest}"
        return Reply(201, {"Location": location, "Docker-Content-Digest": digest})

    def _delete_manifest(self, request: Request, repo: str, reference: str) -> Reply:
        self.store.repository(repo).forget(reference)
        return Reply(202)

    def _get_blob(self, request: Request, repo: str, digest: str) -> Reply:
        data = self.store.repository(repo).blob(digest)
        headers = {"Docker-Content-Digest": digest, "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
        return _part(data, headers, wanted) if wanted else Reply(200, headers, data)

    def _delete_blob(self, request: Request, repo: str, digest: str) -> Reply:
        self.store.repository(repo).blob(digest)
        del self.store.repository(repo).blobs[digest]
        return Reply(202)

    def _start(self, request: Request, repo: str) -> Reply:
        """Mount a blob, take one that comes at once, or begin an upload."""
        mounted = self._mount(request.query, repo)
        if mounted:
            return _created(repo, mounted)
        identifier = uuid4().hex
        self.store.uploads[identifier] = Upload()
        if "digest" in request.query:
            return self._finish(request, repo, identifier)
        return self._accepted(repo, identifier, 202)

    def _mount(self, query: dict[str, str], repo: str) -> str | None:
        digest, origin = query.get("mount", ""), query.get("from", "")
        known = origin in self.store.repositories and self.store.repositories[origin].blobs
        if not (self.mounts and known and digest in known):
            return None
        self.store.repositories[repo].blobs[digest] = known[digest]
        return digest

    def _upload(self, request: Request, identifier: str) -> Upload:
        upload = self.store.upload(identifier)
        if self.moves and request.query.get("state") != upload.state:
            raise Refusal(404, "BLOB_UPLOAD_UNKNOWN", "it is elsewhere by now")
        return upload

    def _progress(self, request: Request, repo: str, identifier: str) -> Reply:
        self._upload(request, identifier)
        return self._accepted(repo, identifier, 204)

    def _append(self, request: Request, repo: str, identifier: str) -> Reply:
        upload = self._upload(request, identifier)
        start = request.headers.get("Content-Range", f"{len(upload.data)}-").partition("-")[0]
        if int(start) != len(upload.data):
            return self._accepted(repo, identifier, 416)
        upload.data += request.body
        return self._accepted(repo, identifier, 202)

    def _finish(self, request: Request, repo: str, identifier: str) -> Reply:
        upload = self._upload(request, identifier)
        digest = request.query.get("digest", "")
        data = bytes(upload.data + request.body)
        require(digest, data)
        del self.store.uploads[identifier]
        self.store.repositories[repo].blobs[digest] = data
        return _created(repo, digest)

    def _cancel(self, request: Request, repo: str, identifier: str) -> Reply:
        self._upload(request, identifier)
        del self.store.uploads[identifier]
        return Reply(204)

    def _accepted(self, repo: str, identifier: str, status: int) -> Reply:
        upload = self.store.upload(identifier)
        upload.state = uuid4().hex
        last = max(len(upload.data) - 1, 0)
        location = f"/v2/{repo}/blobs/uploads/{identifier}?state={upload.state}"
        return Reply(status, {"Location": location, "Range": f"0-{last}"})


def _attempt(action: Callable[..., Reply], request: Request, match: re.Match[str]) -> Reply:
    try:
        return action(request, *match.groups())
    except Refusal as refusal:
        return refusal.reply()


def _unsupported(request: Request, *_: str) -> Reply:
    raise Refusal(405, "UNSUPPORTED", request.method)


def _created(repo: str, digest: str) -> Reply:
    headers = {"Location": f"/v2/{repo}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Reply(201, headers)


def _part(data: bytes, headers: dict[str, str], wanted: re.Match[str]) -> Reply:
    start, size = int(wanted[1]), len(data)
    end = min(int(wanted[2] or size - 1), size - 1)
    if start >= size:
        return Reply(416, {"Content-Range": f"bytes */{size}"})
    place = {"Content-Range": f"bytes {start}-{end}/{size}"}
    return Reply(206, headers | place, data[start : end + 1])
