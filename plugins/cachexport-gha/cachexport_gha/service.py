"""The cache service, version 2: calls that say where something is, or is to be put."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cachexport.errors import BackendError, NotFound
from cachexport_gha.keys import VERSION, as_key

if TYPE_CHECKING:
    from cachexport_gha.calls import Calls

_PATH = "/twirp/github.actions.results.api.v1.CacheService/"


@dataclass(frozen=True, slots=True)
class Saved:
    """Something that was saved: its whole key, and where it can be read for a while."""

    key: str
    url: str


class Service:
    """What a runner may ask. All that is saved has BuildKit's version."""

    def __init__(self, calls: Calls, place: str) -> None:
        self._calls = calls
        self.place = place

    def find(self, key: str) -> Saved:
        """Give what was saved under a key, or last under one that begins like it.

        Raises NotFound. GitHub counts that as a use, and keeps it for another week.
        """
        body = {"key": key, "restore_keys": [key], "version": VERSION}
        answer = self._ask("GetCacheEntryDownloadURL", body, "look for", key)
        found = Saved(as_key(answer.get("matched_key")), as_key(answer.get("signed_download_url")))
        if not answer.get("ok") or not found.key.startswith(key):
            raise NotFound(f"{self.place}/{key} is not there")
        return found

    def reserve(self, key: str) -> str:
        """Give a URL to upload to. Raises AlreadyExists for a key that was ever reserved."""
        answer = self._ask("CreateCacheEntry", {"key": key, "version": VERSION}, "write", key)
        if not answer.get("ok"):
            raise BackendError(f"{self.place}/{key}: cannot write: refused", op="write")
        return as_key(answer.get("signed_upload_url"))

    def finish(self, key: str, size: int) -> None:
        """Say that all is uploaded: from now on it can be found."""
        body = {"key": key, "version": VERSION, "size_bytes": str(size)}
        if not self._ask("FinalizeCacheEntryUpload", body, "write", key).get("ok"):
            raise BackendError(f"{self.place}/{key}: cannot write: refused at its end", op="write")

    def close(self) -> None:
        """Free the connections; twice is fine."""
        self._calls.close()

    def _ask(self, method: str, body: Any, op: str, key: str) -> dict[str, Any]:
        try:
            answer = self._calls.ask("POST", _PATH + method, op, f"{self.place}/{key}", body=body)
        except NotFound as error:
            # The service says of what it has not that it has it not, and never that.
            message = f"{error}; is that the cache service? check url_v2="
            raise BackendError(message, op=op) from error
        return answer if isinstance(answer, dict) else {}
