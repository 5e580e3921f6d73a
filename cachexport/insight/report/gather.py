"""All facts of a report, gathered before the page is rendered."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cachexport.content.progress import silent, step
from cachexport.errors import Integrity, Loop, NotFound, WireFormat
from cachexport.insight.inspect import inspect_cache
from cachexport.insight.usage import measure_usage
from cachexport.transfer.importer import numbered
from cachexport.upkeep.verify import CacheFault, FaultKind, verify_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cachexport.content.progress import Progress
    from cachexport.contract.backend import Source
    from cachexport.insight.inspect import Inspection
    from cachexport.insight.usage import NameUsage, Usage
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.timestamp import Timestamp
    from cachexport.upkeep.verify import KnownFaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """One cache, with its faults and its inspection."""

    name: str
    faults: tuple[CacheFault, ...] = ()
    absent: str = ""
    """Why there is no cache of this name, if there is none."""
    cache: Cache | None = None
    inspection: Inspection | None = None
    """None when there is no cache, or when its graph is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Some caches, side by side."""

    caches: tuple[Reported, ...]
    usage: Usage
    """The usage of the caches with an inspection, in their order."""
    now: Timestamp | None
    """When it was made; None for a report without ages."""

    @property
    def absent(self) -> int:
        """How many caches do not exist."""
        return sum(bool(reported.absent) for reported in self.caches)

    @property
    def present(self) -> int:
        """How many caches exist."""
        return len(self.caches) - self.absent

    @property
    def faults(self) -> int:
        """How many faults all caches have together."""
        return sum(len(reported.faults) for reported in self.caches)

    def read(self) -> Iterator[tuple[int, Reported, Inspection, NameUsage]]:
        """Give the caches that could be read, with their positions in `usage.names`."""
        known = ((one, one.inspection) for one in self.caches if one.inspection is not None)
        for number, (reported, inspection) in enumerate(known):
            yield number, reported, inspection, self.usage.names[number]


def gather(
    sources: Iterable[tuple[str, Source]],
    *,
    deep: bool = False,
    now: Timestamp | None = None,
    progress: Progress = silent,
) -> Report:
    """Verify, inspect and measure the caches of sources, each given with its name.

    With `deep`, every layer is read. Damaged and missing caches are in the report; raises NotFound
    when all are missing.
    """
    look = partial(_look, deep=deep, progress=progress, known={})
    caches = [one for name, source in sources for one in _report(name, source, look, progress)]
    if all(one.absent for one in caches):
        raise NotFound("no cache to report on: " + "; ".join(one.absent for one in caches))
    read = [(one.name, one.cache) for one in caches if one.cache and one.inspection]
    return Report(caches=tuple(caches), usage=measure_usage(read), now=now)


def _report(
    name: str, source: Source, look: Callable[[str, Cache], Reported], progress: Progress
) -> list[Reported]:
    try:
        with step(progress, f"importing cache manifest from {name}"):
            caches = source.load()
    except NotFound as error:
        return [Reported(name=name, absent=f"{name}: {error}")]
    except (Integrity, Loop, WireFormat) as error:
        fault = CacheFault(kind=FaultKind.DAMAGED, text=str(error))
        return [Reported(name=name, faults=(fault,))]
    if not caches:
        return [Reported(name=name, absent=f"{name}: the image has no inline cache")]
    return [
        look(numbered(name, number, len(caches)), cache) for number, cache in enumerate(caches, 1)
    ]


def _look(
    name: str, cache: Cache, *, deep: bool, progress: Progress, known: KnownFaults
) -> Reported:
    verification = verify_cache(cache, deep=deep, progress=progress, known=known)
    inspection = None
    with suppress(Loop, WireFormat):  # a damaged graph is one of the faults already
        inspection = inspect_cache(cache)
    return Reported(name=name, faults=verification.faults, cache=cache, inspection=inspection)
