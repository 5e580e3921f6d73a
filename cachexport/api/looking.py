"""Looking at caches, and at the names of whole places."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.api.ends import open_source, opened
from cachexport.api.moving import load_cache
from cachexport.content.progress import silent, step
from cachexport.contract.opening import has_pattern, name_of, open_place
from cachexport.contract.spec import parse_spec
from cachexport.errors import InvalidAttr, NotFound
from cachexport.transfer.importer import load_caches, load_named, numbered

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.place import Entry, Place
    from cachexport.contract.spec import Spec
    from cachexport.insight.diff import Difference
    from cachexport.insight.explain import Explanation
    from cachexport.insight.report.gather import Report
    from cachexport.insight.usage import Usage
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.timestamp import Timestamp
    from cachexport.upkeep.gate import Check, Demands
    from cachexport.upkeep.names import NamedCache
    from cachexport.upkeep.verify import Contents, Verification


def list_names(spec: str, pattern: str = "*") -> list[NamedCache]:
    """Describe the names in the place that a specification is in; see `upkeep.names`."""
    from cachexport.upkeep import names

    with closing(open_place(spec)) as place:
        return names.list_names(place, pattern)


def cache_usage(sources: Sequence[str | Spec], *, progress: Progress = silent) -> Usage:
    """Say how many bytes the layers of caches need, and which of these nothing else needs.

    Each cache has the name of its source; an image's several are numbered. Raises NotFound when
    none is there; of several sources one that is not is a warning.
    """
    from cachexport.insight.usage import measure_usage

    with ExitStack() as stack:
        ends = opened(stack, sources)
        return measure_usage(
            (numbered(name, number, len(caches)), cache)
            for name, caches in load_named(ends, progress)
            for number, cache in enumerate(caches, 1)
        )


def report_caches(
    sources: Sequence[str | Spec],
    *,
    deep: bool = False,
    now: Timestamp | dt.datetime | str | None = None,
    progress: Progress = silent,
) -> Report:
    """Look at everything that a report tells of caches; `render_report` makes the page of it.

    With `deep` every layer is read and checked. `now` is the time from which ages are told, none
    by default. A source that is damaged or not there is told of in the report; raises NotFound
    when none is there.
    """
    from cachexport.insight.report.gather import gather
    from cachexport.oci.timestamp import Timestamp

    moment = None if now is None else Timestamp.of(now)
    with ExitStack() as stack:
        return gather(opened(stack, sources), deep=deep, now=moment, progress=progress)


def diff_caches(a: str, b: str) -> Difference:
    """Compare the caches of two sources; see `insight.diff`."""
    from cachexport.insight import diff

    return diff.diff_caches(load_cache(a), load_cache(b))


def explain_record(source: str, digest: str) -> list[Explanation]:
    """Explain the records of a digest, or of the one that begins so; see `insight.explain`."""
    from cachexport.insight import explain

    with closing(open_source(source)) as opened:
        return explain.explain_record(load_caches([(source, opened)]), digest)


def check_cache(source: str, demands: Demands, before: str | None = None) -> list[Check]:
    """Check that a source's caches are as large as they should be; see `upkeep.gate`.

    `before` is a source to compare with; one that is not there is as good as none.
    """
    from cachexport.upkeep.gate import check_caches

    caches = _as_one(load_cache(source))
    old: list[Cache] | None = None
    if before is not None:
        with suppress(NotFound):
            old = _as_one(load_cache(before))
    return check_caches(caches, demands, old)


def _as_one(caches: list[Cache]) -> list[Cache]:
    """Give the caches of a pool as the one that an import makes of them."""
    from cachexport.contract.export import CommonExport
    from cachexport.transfer.prepare import prepare_merged

    return caches if len(caches) == 1 else [prepare_merged(caches, CommonExport())]


def verify_cache(
    source: str, *, deep: bool = False, progress: Progress = silent
) -> list[Verification]:
    """Look whether all that a source's caches need is there, and with `deep` whether it is right.

    Gives one verification for each cache, with every fault that was found; those of a source with
    a pattern tell their names. Raises NotFound when there is no cache.
    """
    from cachexport.contract.names import meant

    if has_pattern(source):
        with closing(open_place(source)) as place:
            return _verify_all(place, meant(place, name_of(source)), deep, progress)
    known: Contents = {}
    return _verify(parse_spec(source), deep, progress, known)


def verify_names(
    spec: str, pattern: str = "*", *, deep: bool = False, progress: Progress = silent
) -> list[Verification]:
    """Verify all caches in a place whose names match; each verification tells its name.

    What is no cache is left out. No blob is read twice. Raises NotFound when nothing matches.
    """
    from cachexport.contract.names import matching

    with closing(open_place(spec)) as place:
        return _verify_all(place, matching(place, pattern), deep, progress)


def _verify_all(
    place: Place, entries: Iterable[Entry], deep: bool, progress: Progress
) -> list[Verification]:
    from cachexport.upkeep.verify import damage_of, damaged

    known: Contents = {}
    verified = []
    for entry in entries:
        try:
            items = _verify(place.source(entry.name), deep, progress, known)
        except NotFound:
            items = damage_of(place, entry)
        except InvalidAttr as error:
            items = [damaged(error)]
        verified += [replace(item, name=entry.name) for item in items]
    return verified


def _verify(source: Spec, deep: bool, progress: Progress, known: Contents) -> list[Verification]:
    from cachexport.upkeep.verify import verify_source

    with closing(open_source(source)) as opened, step(progress, f"verifying cache {source}"):
        found = verify_source(opened, deep=deep, progress=progress, known=known)
    if not found:
        raise NotFound(f"{source}: the image has no inline cache")
    return found
