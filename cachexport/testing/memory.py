"""A store of objects in memory, with a clock of its own, that counts its calls."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING

from cachexport.backends.objects.client import ABSENT, Page, Stored
from cachexport.errors import NotFound, Outdated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cachexport.content.protocols import Reader


@dataclass
class MemoryObjects:
    """An ObjectClient. `time` is its clock, in seconds; one request lists `page_size` keys."""

    time: float = 0.0
    page_size: int = 1000
    parallelism: int = 4
    place: str = "memory://bucket"
    objects: dict[str, tuple[bytes, Stored]] = field(default_factory=dict)
    tells_ages: bool = True
    asked: Counter[str] = field(default_factory=Counter)
    _lock: RLock = field(default_factory=RLock)

    def head(self, key: str, /) -> Stored:
        """See ObjectClient."""
        return self._get("head", key)[1]

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient."""
        with self._lock:
            self.asked["list"] += 1
            after = following or after
            keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
            found = [self.objects[key][1] for key in keys[: self.page_size]]
            bare = tuple(replace(stored, metadata={}) for stored in found)
            return Page(bare, bare[-1].key if len(keys) > self.page_size else "")

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient."""
        return io.BytesIO(self._get("read", key)[0][start:])

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient."""
        return self._get("read", key)

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient."""
        raw = b"".join(iter(lambda: reader.read(1 << 20), b""))
        assert len(raw) == size, (len(raw), size)
        self._put(key, raw, {})

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient."""
        with self._lock:
            self._expect(key, version)
            return self._put(key, raw, metadata)

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient."""
        with self._lock:
            raw, now = self._get("touch", stored.key)
            self.objects[stored.key] = (raw, replace(now, modified=self._age()))
            return now.version

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient."""
        with self._lock:
            self.asked["delete"] += 1
            if key in self.objects:
                self._expect(key, version)
                del self.objects[key]

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient."""
        with self._lock:
            self.asked["delete"] += 1
            for key in keys:
                self.objects.pop(key, None)

    def now(self) -> float:
        """See ObjectClient."""
        return self.time

    def close(self) -> None:
        """See ObjectClient."""

    def _get(self, op: str, key: str) -> tuple[bytes, Stored]:
        with self._lock:
            self.asked[op] += 1
            if key not in self.objects:
                raise NotFound(f"{self.place}/{key} is not there")
            return self.objects[key]

    def _put(self, key: str, raw: bytes, metadata: Mapping[str, str]) -> str:
        with self._lock:
            self.asked["write"] += 1
            version = hashlib.md5(raw, usedforsecurity=False).hexdigest()
            stored = Stored(
                key=key,
                size=len(raw),
                version=version,
                modified=self._age(),
                metadata=dict(metadata),
            )
            self.objects[key] = (raw, stored)
            return version

    def _age(self) -> float | None:
        return self.time if self.tells_ages else None

    def _expect(self, key: str, version: str | None) -> None:
        now = self.objects[key][1].version if key in self.objects else ABSENT
        if version is not None and version != now:
            raise Outdated(f"{self.place}/{key} is another one now")
