"""GitHub's API about the caches of a repository: listing and deleting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cachexport.errors import BackendError, NotFound
from cachexport_gha.keys import VERSION, as_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport_gha.calls import Calls

_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Something that was saved, as a listing tells of it."""

    key: str
    ref: str
    """The branch in whose scope it was saved."""
    size: int
    saved: float
    """Seconds since 1970."""
    used: float
    """Seconds since 1970 at which it was saved or last found."""


class Rest:
    """The caches of one repository."""

    def __init__(self, calls: Calls, repository: str) -> None:
        self._calls = calls
        self._path = f"/repos/{repository}/actions/caches"

    def list(self, prefix: str) -> Iterator[Listed]:
        """List all that has a key with this prefix, in whatever branch, and BuildKit's version."""
        page, seen = 1, 0
        while True:
            query = {"key": prefix, "per_page": _PAGE, "page": page}
            answer = self._calls.ask("GET", f"{self._path}?{urlencode(query)}", "list")
            try:
                items = list(answer["actions_caches"])
                found = [_listed(item) for item in items if item.get("version") == VERSION]
                total = int(answer["total_count"])
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                message = "cannot list: what answers does not speak as GitHub does; check api_url="
                raise BackendError(message, op="list") from error
            yield from found
            page, seen = page + 1, seen + len(items)
            if not items or seen >= total:
                return

    def delete(self, key: str, ref: str) -> None:
        """Delete what was saved under a key in a branch; nothing is fine."""
        try:
            query = urlencode({"key": key, "ref": ref})
            self._calls.ask("DELETE", f"{self._path}?{query}", "delete")
        except NotFound:
            return

    @property
    def date(self) -> str:
        """What the last answer said of the time."""
        return self._calls.date

    def close(self) -> None:
        """Free the connections; twice is fine."""
        self._calls.close()


def _listed(item: Any) -> Listed:
    saved = _seconds(item.get("created_at"))
    return Listed(
        key=as_key(item.get("key")),
        ref=as_key(item.get("ref")),
        size=int(item.get("size_in_bytes") or 0),
        saved=saved,
        used=max(saved, _seconds(item.get("last_accessed_at"))),
    )


def _seconds(value: Any) -> float:
    try:
        # GitHub writes more digits of a second than Python reads.
        head, _, fraction = str(value).rstrip("Z").partition(".")
        whole = datetime.fromisoformat(head + "+00:00").timestamp()
        return whole + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)
    except ValueError:
        return 0.0
