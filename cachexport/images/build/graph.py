"""The graph of a build's steps, walked beside the graph of the caches that it reads."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import CachexportError, InvalidInputError
from cachexport.images.config.config import diff_id_of
from cachexport.model.chains import CacheChains, CacheLink
from cachexport.model.chains.blobs import has_blob
from cachexport.oci.compression import Compression
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.model.chains import CacheRecord, CacheResult, Remote


_SCHEME = "cachexport.step.v1"
"""Changes when the same description of a step makes something else."""


def step_digest(kind: str, /, **what: object) -> Digest:
    """Give the digest of a step: of its kind and of everything that decides its result.

    `what` can be anything that JSON can express; the order of its keys does not count.
    """
    text = json.dumps([_SCHEME, kind, what], sort_keys=True, separators=(",", ":"))
    return Digest.of(text.encode())


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Position:
    """A step after others, done or not."""

    digest: Digest
    after: tuple[Position, ...]
    known: tuple[CacheRecord, ...]
    """The same step in the caches; empty when they do not know it."""


class StepGraph:
    """Finds steps in the graph of the caches, and records the done ones in `made`."""

    def __init__(self, known: CacheChains) -> None:
        self.made = CacheChains()
        self._known = known
        self._records: dict[Position, CacheRecord] = {}
        self._whole: set[Remote] = set()

    def at(self, digest: Digest, *after: Position) -> Position:
        """Give the step with this digest after the others that it depends on."""
        known: tuple[CacheRecord, ...] = ()
        if all(one.known for one in after):
            inputs = [[CacheLink(src) for src in one.known] for one in after]
            known = self._known.find(digest, inputs)
        return Position(digest=digest, after=after, known=known)

    def cached(self, position: Position) -> CacheResult | None:
        """Give the newest result of a step in the caches that has all its layers."""
        results = [result for record in position.known for result in record.results.values()]
        results.sort(key=lambda result: result.created_at, reverse=True)
        return next((result for result in results if self._is_usable(result.remote)), None)

    def keep(self, position: Position, result: CacheResult | None) -> None:
        """Record a step and its result; the steps before it are recorded already."""
        deps = [[CacheLink(self._records[one])] for one in position.after]
        record = self.made.add(position.digest, deps, [] if result is None else [result])
        assert record is not None  # no step has a random digest
        self._records[position] = record

    def _is_usable(self, remote: Remote) -> bool:
        for layer in remote.down():
            if layer in self._whole:
                break
            if not _is_there(layer):
                return False
        self._whole.update(remote.down())
        return True


def _is_there(layer: Remote) -> bool:
    digest = layer.descriptor.digest
    if Compression.of(layer.descriptor.media_type) is None:
        return False  # no image can have such a layer
    try:
        diff_id_of(layer.descriptor)
        return has_blob(layer.provider, digest)
    except InvalidInputError:
        return False
    except CachexportError as error:
        _log.warning("doing without the cached layer %s: %s", digest, error)
        return False
