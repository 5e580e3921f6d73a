"""Sending a blob in parts, which an export does where it does not get through as a whole."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from cachexport.backends.registry.checks.desk import Role
from cachexport.contract.checks import note, ok
from cachexport.errors import CachexportError
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.backends.registry.checks.desk import Desk, Reply
    from cachexport.contract.checks import Finding

_OCTETS = "application/octet-stream"
_PART = 32
_LEAST = "OCI-Chunk-Min-Length"


class Uploading:
    """The check of uploads in parts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def chunked_upload(self) -> Finding:
        """See whether a blob can be sent in parts, and whether a part that arrived is known."""
        blob = secrets.token_bytes(2 * _PART)
        upload = self._begin()
        if not upload.accepted:
            return _in_one_piece(upload)
        least = upload.headers.get(_LEAST, "")
        if least.isdigit() and int(least) > _PART:
            self._cancel(upload)
            return ok(f"parts of a blob have {int(least):,} bytes at least", least=int(least))
        first = self._patch(upload, blob[:_PART], 0)
        if not first.accepted:
            self._cancel(upload)
            return _in_one_piece(first)
        status = self._ask("GET", self._desk.location(first))
        known = _tells(status)
        # Some have an upload go on at another place after each answer.
        latest = status if known and "Location" in status.headers else first
        second = self._patch(latest, blob[_PART:], _PART)
        done = self._finish(second, blob) if second.accepted else second
        if not done.accepted:
            self._cancel(first)
            return _in_one_piece(done)
        text = "a blob can be sent in parts"
        if not known:
            return ok(text, accepted=True, status_told=False)
        return ok(f"{text}, what has arrived is told", accepted=True, status_told=True)

    def _begin(self) -> Reply:
        return self._ask("POST", f"{self._desk.path}/blobs/uploads/", body=b"")

    def _patch(self, reply: Reply, part: bytes, start: int) -> Reply:
        headers = {
            "Content-Type": _OCTETS,
            "Content-Range": f"{start}-{start + len(part) - 1}",
            "Content-Length": str(len(part)),
        }
        return self._ask("PATCH", self._desk.location(reply), headers, part)

    def _finish(self, reply: Reply, blob: bytes) -> Reply:
        digest = Digest.of(blob)
        self._desk.blobs.append(digest)
        return self._ask("PUT", self._desk.location(reply, digest=digest), body=b"")

    def _cancel(self, reply: Reply) -> None:
        # What cannot be cancelled is forgotten by the registry in time.
        with suppress(CachexportError):
            self._ask("DELETE", self._desk.location(reply))

    def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        op = f"upload to {self._desk.place}"
        return self._desk.ask(Role.WRITER, method, path, op=op, headers=headers, body=body)


def _tells(status: Reply) -> bool:
    """Say whether the registry knows, when it is asked, that the first part has arrived."""
    told = status.headers.get("Range", "").removeprefix("bytes=")
    return status.accepted and told == f"0-{_PART - 1}"


def _in_one_piece(reply: Reply) -> Finding:
    return note(
        f"a blob cannot be sent in parts ({reply.told}): one that breaks off is sent again "
        "from its start",
        accepted=False,
        status=reply.status,
    )
