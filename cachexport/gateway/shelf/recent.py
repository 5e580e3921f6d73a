"""Small content that is nowhere but here: what was made to be served."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 32 << 20
"""Bytes that are kept. What was made last is kept whatever its size."""


class Recent:
    """The manifests and configs that were made last, by digest. Threads may share it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._guard = threading.Lock()
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()

    def keep(self, made: Iterable[bytes]) -> None:
        """Keep these; what was asked for least recently makes room."""
        fresh = {Digest.of(raw): raw for raw in made}
        with self._guard:
            for digest, raw in fresh.items():
                self._size += len(raw) - len(self._kept.pop(digest, b""))
                self._kept[digest] = raw
            while self._size > self._most and len(self._kept) > len(fresh):
                self._size -= len(self._kept.popitem(last=False)[1])

    def get(self, digest: Digest) -> bytes | None:
        """Give what was kept."""
        with self._guard:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)
