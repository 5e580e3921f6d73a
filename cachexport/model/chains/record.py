"""Records, the links between them, and the layers that came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator

    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor


_KEY_SIZE = 16


@dataclass(frozen=True, slots=True)
class BlobSource:
    """A blob's descriptor and the provider to read it from."""

    descriptor: Descriptor
    provider: Provider | None


class Remote:
    """A layer on top of its parents; stacks share what they have in common, whatever their depth.

    `Remote(descriptors, provider)` takes the layers bottom first; `stack` puts one more on top.
    `provider` may be None in a graph that is only inspected. A remote is immutable.
    """

    __slots__ = ("descriptor", "key", "parent", "provider")

    parent: Remote | None
    descriptor: Descriptor
    provider: Provider | None
    key: bytes
    """Two remotes with equal keys have the same blobs in the same order."""

    def __init__(self, descriptors: Iterable[Descriptor], provider: Provider | None = None) -> None:
        layers = tuple(descriptors)
        if not layers:
            raise InvalidInputError("a result needs at least one layer")
        parent: Remote | None = None
        for descriptor in layers[:-1]:
            parent = _stacked(parent, descriptor, provider)
        self._set(parent, layers[-1], provider)

    def stack(self, descriptor: Descriptor, provider: Provider | None = None) -> Remote:
        """Give the remote with one more layer on top, by default from the same provider."""
        return _stacked(self, descriptor, self.provider if provider is None else provider)

    def down(self) -> Iterator[Remote]:
        """Go from the top layer to the bottom one."""
        layer: Remote | None = self
        while layer is not None:
            yield layer
            layer = layer.parent

    @property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """The layers' descriptors, bottom first."""
        return tuple(layer.descriptor for layer in self.down())[::-1]

    def __repr__(self) -> str:
        return f"Remote({[str(descriptor.digest) for descriptor in self.descriptors]})"

    def _set(
        self, parent: Remote | None, descriptor: Descriptor, provider: Provider | None
    ) -> None:
        self.parent = parent
        self.descriptor = descriptor
        self.provider = provider
        below = parent.key if parent is not None else b""
        self.key = blake2b(below + descriptor.digest.encode(), digest_size=_KEY_SIZE).digest()


def _stacked(parent: Remote | None, descriptor: Descriptor, provider: Provider | None) -> Remote:
    remote = Remote.__new__(Remote)
    remote._set(parent, descriptor, provider)
    return remote


Edge = tuple[str, int, str]
"""The key of a child below its parent: selector, number of the input, digest of the child."""
ResultKey = tuple[Timestamp, int, bytes]
"""The identity of a result: its instant, the zone in which that is written, its layers."""


class CacheResult:
    """The layers that a record gave, and when they were made."""

    __slots__ = ("created_at", "remote")

    created_at: Timestamp
    remote: Remote

    def __init__(self, created_at: Timestamp | dt.datetime | str, remote: Remote) -> None:
        self.created_at = Timestamp.of(created_at)
        self.remote = remote

    def __repr__(self) -> str:
        return f"CacheResult({str(self.created_at)!r}, {self.remote!r})"


@dataclass(frozen=True, slots=True)
class CacheLink:
    """A link to `src` as one alternative of an input; `selector` is the part of it that is read."""

    src: CacheRecord | None
    selector: str = ""


@dataclass(slots=True, eq=False)
class CacheRecord:
    """One step of a build, and the steps that depend on it.

    Callers get one from `CacheChains.add` and use it in links; only the chains change it.
    """

    digest: str
    owner: object = field(repr=False)
    """The CacheChains that it belongs to."""
    sequence: int = field(repr=False)
    """Counts the records of a graph in the order in which they were added."""
    level: int = field(default=0, repr=False)
    """Greater than that of every parent: orders the graph, and keeps it free of loops."""
    parents: list[dict[tuple[CacheRecord, str], None]] = field(default_factory=list, repr=False)
    """For each input the alternatives, each a record and a selector."""
    children: dict[Edge, dict[CacheRecord, None]] = field(default_factory=dict, repr=False)
    results: dict[ResultKey, CacheResult] = field(default_factory=dict, repr=False)
    """In the order in which they were added."""

    def add_result(self, result: CacheResult) -> None:
        """Add a result unless the same is there.

        BuildKit takes two results of one instant and as many layers for the same; we compare
        the blobs too.
        """
        key = (result.created_at, result.created_at.offset, result.remote.key)
        self.results.setdefault(key, result)

    def newest_result(self) -> CacheResult | None:
        """Give the newest result; of two with equal instants the one added first."""
        return max(self.results.values(), key=lambda result: result.created_at, default=None)

    def newest_whole(self, is_whole: Callable[[Remote], bool]) -> CacheResult | None:
        """Give the result that counts in a merged graph, in whatever order they were added.

        It is the newest of which all layers are there, of several with equal instants the one
        with the smaller list of blobs.
        """
        whole = [result for result in self.results.values() if is_whole(result.remote)]
        if len(whole) < 2:
            return whole[0] if whole else None
        newest = max(result.created_at for result in whole)
        return min((result for result in whole if result.created_at == newest), key=_rank)


def _rank(result: CacheResult) -> tuple[list[str], int]:
    blobs = [str(desc.digest) for desc in result.remote.descriptors]
    return blobs, result.created_at.offset
