"""Faults at chosen calls, as wrappers around content, a target or a store of objects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from cachexport.content.clock import clock
from cachexport.content.protocols import Placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cachexport.backends.objects.client import ObjectClient, Page, Stored
    from cachexport.content.protocols import Ingester, Provider, Reader
    from cachexport.contract.backend import Target
    from cachexport.contract.export import CommonExport
    from cachexport.contract.reading import (
        Current,
    )
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of one call of a method, or of the bytes that it reads or is given."""

    op: str
    """The method, such as `open`, `ingest` or `list_page`."""
    call: int = 1
    """Which call of it, counted from 1."""
    error: Exception | None = None
    """Raised instead of the call; with `cut`, after that many bytes."""
    delay: float = 0.0
    """Seconds before the call."""
    cut: int | None = None
    """The body ends after this many bytes; without an `error`, it ends silently."""
    flip: int | None = None
    """The byte, counted from 0, of which one bit is flipped."""


@dataclass(slots=True)
class Faults:
    """Planned faults, and those that have happened. Wrappers and threads may share them."""

    planned: Sequence[Fault]
    sleep: Callable[[float], None] = field(default_factory=lambda: clock().sleep)
    happened: list[Fault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    """How often each method was called."""
    _lock: Lock = field(default_factory=Lock)

    def meet(self, op: str) -> Fault | None:
        """Count a call, wait or raise if that is planned for it, and give its fault, if any."""
        with self._lock:
            self.calls[op] += 1
            number = self.calls[op]
            fault = next((it for it in self.planned if (it.op, it.call) == (op, number)), None)
            if fault is None:
                return None
            self.happened.append(fault)
        if fault.delay:
            self.sleep(fault.delay)
        if fault.error is not None and fault.cut is None:
            raise fault.error
        return fault

    def met(self, op: str, reader: Reader) -> Reader:
        """Count a call as `meet` does, and give its body with the fault planned for it."""
        fault = self.meet(op)
        return reader if fault is None else _FaultyReader(reader, fault)


class _FaultyReader:
    def __init__(self, reader: Reader, fault: Fault) -> None:
        self._reader = reader
        self._fault = fault
        self._at = 0

    def read(self, size: int, /) -> bytes:
        cut, flip = self._fault.cut, self._fault.flip
        if cut is not None:
            size = min(size, cut - self._at)
        if cut == self._at:
            return self._end()
        block = self._reader.read(size)
        if flip is not None and self._at <= flip < self._at + len(block):
            changed = bytearray(block)
            changed[flip - self._at] ^= 1
            block = bytes(changed)
        self._at += len(block)
        return block

    def close(self) -> None:
        self._reader.close()

    def _end(self) -> bytes:
        if self._fault.error is not None:
            raise self._fault.error
        return b""


@dataclass(frozen=True, slots=True)
class FaultyProvider:
    """A Provider with faults in `open`."""

    provider: Provider
    faults: Faults

    @property
    def place(self) -> str:
        """See Placed."""
        return self.provider.place if isinstance(self.provider, Placed) else "nowhere"

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        fault = self.faults.meet("open")
        reader = self.provider.open(desc)
        return reader if fault is None else _FaultyReader(reader, fault)


@dataclass(frozen=True, slots=True)
class FaultyIngester:
    """An Ingester with faults in `missing` and `ingest`."""

    ingester: Ingester
    faults: Faults

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester."""
        self.faults.meet("missing")
        return self.ingester.missing(descs)

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self.ingester.ingest(desc, self.faults.met("ingest", reader))


@dataclass(frozen=True, slots=True)
class FaultyTarget:
    """A Target with faults in its ingester, `current` and `publish`."""

    target: Target
    faults: Faults

    @property
    def common(self) -> CommonExport:
        """See Target."""
        return self.target.common

    @property
    def ingester(self) -> Ingester:
        """See Target."""
        return FaultyIngester(self.target.ingester, self.faults)

    @property
    def parallelism(self) -> int:
        """See Target."""
        return self.target.parallelism

    @property
    def import_limit(self) -> int | None:
        """See Target."""
        return self.target.import_limit

    def current(self) -> Current:
        """See Target."""
        self.faults.meet("current")
        return self.target.current()

    def holds(self, cache: WrappedCache, /) -> bool:
        """See Target."""
        return self.target.holds(cache)

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """See Target."""
        self.faults.meet("publish")
        return self.target.publish(cache, replacing=replacing)

    def close(self) -> None:
        """See Target."""
        self.target.close()


@dataclass(frozen=True, slots=True)
class FaultyObjects:
    """An ObjectClient with faults in all its calls."""

    client: ObjectClient
    faults: Faults

    @property
    def place(self) -> str:
        """See ObjectClient."""
        return self.client.place

    @property
    def parallelism(self) -> int:
        """See ObjectClient."""
        return self.client.parallelism

    def head(self, key: str, /) -> Stored:
        """See ObjectClient."""
        self.faults.meet("head")
        return self.client.head(key)

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient."""
        self.faults.meet("list_page")
        return self.client.list_page(prefix, after=after, following=following)

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient."""
        fault = self.faults.meet("read")
        reader = self.client.read(key, start=start)
        return reader if fault is None else _FaultyReader(reader, fault)

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient."""
        self.faults.meet("load")
        return self.client.load(key)

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient."""
        self.client.write(key, self.faults.met("write", reader), size)

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient."""
        self.faults.meet("replace")
        return self.client.replace(key, raw, metadata, version=version)

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient."""
        self.faults.meet("touch")
        return self.client.touch(stored)

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient."""
        self.faults.meet("delete")
        self.client.delete(key, version=version)

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient."""
        self.faults.meet("delete_all")
        self.client.delete_all(keys)

    def now(self) -> float:
        """See ObjectClient."""
        self.faults.meet("now")
        return self.client.now()

    def close(self) -> None:
        """See ObjectClient."""
        self.client.close()
