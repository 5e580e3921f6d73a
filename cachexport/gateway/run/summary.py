"""What one command read and wrote through its gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachexport.gateway.http.record import Record

_WRITING = ("PUT", "POST", "PATCH")
_LOGIN_WANTED = 401
_SERVER_ERROR = 500


@dataclass(slots=True)
class Summary:
    """What passed through the gateway. Blobs are those of a repository."""

    found: dict[str, dict[str, str]] = field(default_factory=dict)
    """By repository, the digest that each tag stood for when it was asked for."""
    written: dict[str, dict[str, str]] = field(default_factory=dict)
    """By repository, the digest that each tag stands for that was pushed."""
    pulled: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bytes that were read of each blob."""
    pushed: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bytes of each blob that was written."""
    spared: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bytes of each blob that was there already when it was asked for or to be written."""
    failed: list[str] = field(default_factory=list)
    """What went wrong with pushes, and with the places of caches."""

    def hear(self, record: Record) -> None:
        """Count a request that is over."""
        if record.status == _LOGIN_WANTED:
            return  # whoever asks without a login asks again with it
        if record.error:
            if record.method in _WRITING or record.status >= _SERVER_ERROR:
                self.failed.append(record.error)
        elif record.kind == "manifests":
            self._hear_manifest(record)
        elif record.kind == "blobs":
            self._hear_blob(record)
        elif record.kind == "uploads" and record.status == 201:
            self._hear_upload(record)

    def _hear_manifest(self, record: Record) -> None:
        if ":" not in record.item:
            tags = self.written if record.method == "PUT" else self.found
            tags.setdefault(record.repository, {})[record.item] = record.digest

    def _hear_blob(self, record: Record) -> None:
        blob = record.repository, record.digest
        if record.method == "GET":
            self.pulled[blob] = self.pulled.get(blob, 0) + record.sent
        elif blob not in self.pushed:
            self.spared[blob] = record.size

    def _hear_upload(self, record: Record) -> None:
        blob = record.repository, record.digest
        if record.method == "POST" and not record.received:  # taken over from elsewhere
            self.spared[blob] = record.size
        else:
            self.pushed[blob] = record.size
