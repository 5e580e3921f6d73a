"""Caches: written, read, copied, merged, compacted, and looked into."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from cachexport.content.progress import silent, step
from cachexport.contract.backend import Prefetching
from cachexport.contract.opening import (
    enter,
    expand,
    has_pattern,
    name_of,
    open_place,
    open_source,
    open_sources,
    open_targets,
)
from cachexport.contract.spec import parse_spec
from cachexport.errors import CachexportError, InvalidInputError, NotFound
from cachexport.transfer.importer import load_caches, load_named, numbered

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.backend import Target
    from cachexport.contract.export import CommonExport
    from cachexport.contract.spec import Spec
    from cachexport.insight.diff import Difference
    from cachexport.insight.explain import Explanation
    from cachexport.insight.report.gather import Report
    from cachexport.insight.usage import Usage
    from cachexport.model.chains import CacheChains
    from cachexport.model.envelope.cache import Cache, WrappedCache
    from cachexport.oci.timestamp import Timestamp
    from cachexport.upkeep.compact import Compacted
    from cachexport.upkeep.gate import DemandCheck, Demands
    from cachexport.upkeep.verify import Verification

    Preparing = Callable[[Sequence[Cache], CommonExport], WrappedCache]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """How the export to one target ended.

    One that failed has an error and no response.
    """

    target: str
    """The specification, without its secrets."""
    response: dict[str, str] = field(default_factory=dict)
    error: CachexportError | None = None
    name: str = ""
    """The name of the cache, where many are copied each under its own."""
    ignored: bool = False
    """Whether the target says `ignore-error`."""


def export_cache(
    chains: CacheChains,
    to: str,
    *,
    progress: Progress = silent,
    threads: int | None = None,
) -> dict[str, str]:
    """Write a graph to one target, such as `type=local,dest=out`, and give the response.

    A target with several names gets it under each; the response is the first one's.

    The response has the manifest's descriptor as JSON under `cache.manifest`; it is empty when
    there was nothing to write, or when writing failed and the target says `ignore-error`.
    """
    answers = export_chains(chains, [to], progress=progress, threads=threads)
    raise_failures(answers)
    return answers[0].response


def export_chains(
    chains: CacheChains,
    targets: Sequence[str],
    *,
    progress: Progress = silent,
    threads: int | None = None,
) -> list[Answer]:
    """Write a graph to every target; one answer each, of those that failed too."""
    from cachexport.transfer.prepare import prepare_chains

    make = partial(prepare_chains, chains)
    with ExitStack() as stack:
        ends = [enter(stack, *end) for to in targets for end in open_targets(to)]
        return [_export(name, target, make, progress, threads) for name, target in ends]


def import_cache(source: str) -> CacheChains:
    """Read the graph of one source, such as `type=local,src=out`.

    Its layers are read when something needs them, not before. Raises NotFound when there is no
    cache.
    """
    from cachexport.transfer.prepare import merge_caches

    return merge_caches(load_cache(source))


def load_cache(source: str) -> list[Cache]:
    """Read what one source names, without making a graph of it: one cache, or inline caches.

    A source with a pattern for a name has all caches that match.
    """
    return load_caches([(str(spec), open_source(spec)) for spec in expand(source)])


def copy_cache(
    sources: Sequence[str | Spec],
    targets: Sequence[str | Spec],
    *,
    progress: Progress = silent,
    threads: int | None = None,
    answered: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """Read caches and write them, merged if they are several, to every target; one answer each.

    All specifications are checked before anything is read or written. A target that fails does
    not keep the others from being written; in the end its error is raised, or an ExceptionGroup
    of several. `answered` hears each answer as it comes, those of failures too.
    """
    return _transfer(_as_they_are, sources, targets, progress, threads, answered)


def merge_cache(
    sources: Sequence[str | Spec],
    targets: Sequence[str | Spec],
    *,
    progress: Progress = silent,
    threads: int | None = None,
    answered: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """Write the union of caches to every target; see `copy_cache`, which copies a single one.

    Here one source is marshalled as several are, so that merging is idempotent: the same caches
    in any order, merged at once or one after another, give the same bytes. See
    `CacheChains.marshal` for the graphs of which that holds.
    """
    return _transfer(_as_one, sources, targets, progress, threads, answered)


def compact_cache(
    spec: str,
    to: str | None = None,
    *,
    max_config_bytes: int | None = None,
    max_layers: int | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
    threads: int | None = None,
) -> Compacted:
    """Make a cache smaller, in place or, with `to`, in a copy; see `upkeep.compact`.

    Config and manifest get `max_config_bytes` at most, by default as many as BuildKit imports
    from where the cache is to be: any number from a bucket. With `dry_run` nothing is written.
    Raises InvalidInputError for a pattern: it takes one cache at a time.
    """
    if has_pattern(spec):
        raise InvalidInputError(f"compacting takes one cache at a time, not a pattern: {spec}")
    from cachexport.transfer.fit import Limits
    from cachexport.transfer.write import write
    from cachexport.upkeep.compact import compact_caches, compact_in_place

    with ExitStack() as stack:
        ends = [enter(stack, *end) for end in open_targets(to or _own_target(spec))]
        limits = [Limits(size=end.import_limit, layers=max_layers) for _, end in ends]
        if max_config_bytes is not None:
            limits = [Limits(size=max_config_bytes, layers=max_layers)]
        if to is None and not dry_run:
            [(_, target)] = ends
            return compact_in_place(target, limits[0], progress)
        _, source = enter(stack, spec, open_source(spec if to else _own_source(spec)))
        caches = load_caches([(str(parse_spec(spec)), source)], progress)
        compacted = compact_caches(caches, limits[0])
        for _, target in () if dry_run else ends:
            write(compacted.cache, target, progress, threads)
    return compacted


def verify_cache(
    source: str, *, deep: bool = False, progress: Progress = silent
) -> list[Verification]:
    """Look whether all that a source's caches need is there, and with `deep` whether it is right.

    Gives one verification for each cache, with every fault that was found; those of a source with
    a pattern tell their names. Raises NotFound when there is no cache.
    """
    from cachexport.contract.names import meant
    from cachexport.upkeep.verify import verify_entries, verify_spec

    if has_pattern(source):
        with closing(open_place(source)) as place:
            return verify_entries(place, meant(place, name_of(source)), deep, progress)
    return verify_spec(parse_spec(source), deep, progress, {})


def check_cache(source: str, demands: Demands, before: str | None = None) -> list[DemandCheck]:
    """Check that a source's caches are as large as they should be; see `upkeep.gate`.

    `before` is a source to compare with; one that is not there is as good as none.
    """
    from cachexport.upkeep.gate import check_caches

    caches = _pool_as_one(load_cache(source))
    old: list[Cache] | None = None
    if before is not None:
        with suppress(NotFound):
            old = _pool_as_one(load_cache(before))
    return check_caches(caches, demands, old)


def cache_usage(sources: Sequence[str | Spec], *, progress: Progress = silent) -> Usage:
    """Say how many bytes the layers of caches need, and which of these nothing else needs.

    Each cache has the name of its source; an image's several are numbered. Raises NotFound when
    none is there; of several sources one that is not is a warning.
    """
    from cachexport.insight.usage import measure_usage

    with ExitStack() as stack:
        ends = open_sources(stack, sources)
        return measure_usage(
            (numbered(name, number, len(caches)), cache)
            for name, caches in load_named(ends, progress)
            for number, cache in enumerate(caches, 1)
        )


def diff_caches(a: str, b: str) -> Difference:
    """Compare the caches of two sources; see `insight.diff`."""
    from cachexport.insight import diff

    return diff.diff_caches(load_cache(a), load_cache(b))


def explain_record(source: str, digest: str) -> list[Explanation]:
    """Explain the records of a digest, or of the one that begins so; see `insight.explain`."""
    from cachexport.insight import explain

    with closing(open_source(source)) as opened:
        return explain.explain_record(load_caches([(source, opened)]), digest)


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
        return gather(open_sources(stack, sources), deep=deep, now=moment, progress=progress)


def raise_failures(answers: Sequence[Answer]) -> None:
    """Raise the error of the target that failed, or an ExceptionGroup of several."""
    errors = [answer.error for answer in answers if answer.error and not answer.ignored]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several exports failed", errors)


def _as_they_are() -> Preparing:
    from cachexport.transfer.prepare import prepare

    return prepare


def _as_one() -> Preparing:
    from cachexport.transfer.prepare import prepare_merged

    return prepare_merged


def _transfer(
    preparing: Callable[[], Preparing],
    sources: Sequence[str | Spec],
    targets: Sequence[str | Spec],
    progress: Progress,
    threads: int | None,
    answered: Callable[[Answer], None] | None,
) -> list[Answer]:
    if isinstance(sources, str) or isinstance(targets, str):
        raise InvalidInputError("sources and targets are lists of specifications")
    with ExitStack() as stack:
        # What comes last is closed first: a target may delete what a source still needs.
        ends = [enter(stack, *end) for text in targets for end in open_targets(text)]
        for _, target in ends:
            if isinstance(target, Prefetching):
                target.begin()
        # Only now: what is far away takes as long to answer as this takes to import.
        make = partial(preparing(), load_caches(open_sources(stack, sources), progress))
        answers = []
        for name, target in ends:
            answers.append(_export(name, target, make, progress, threads))
            if answered is not None:
                answered(answers[-1])
    raise_failures(answers)
    return answers


def _export(
    name: str,
    target: Target,
    make: Callable[[CommonExport], WrappedCache],
    progress: Progress,
    threads: int | None,
) -> Answer:
    from cachexport.transfer.write import write

    ignored = target.common.ignore_error
    try:
        with step(progress, f"exporting cache to {name}"):
            response = write(make(target.common), target, progress, threads)
    except CachexportError as error:
        if ignored:
            _log.warning("ignoring a failed export to %s: %s", name, error)
        return Answer(name, error=error, ignored=ignored)
    return Answer(name, response)


def _own_target(text: str) -> Spec:
    """Give the specification that writes what another one reads."""
    with closing(open_place(text)) as place:
        return place.target(name_of(text))


def _own_source(text: str) -> Spec:
    """Give the specification that reads what another one writes."""
    with closing(open_place(text)) as place:
        return place.source(name_of(text))


def _pool_as_one(caches: list[Cache]) -> list[Cache]:
    """Give the caches of a pool as the one that an import makes of them."""
    from cachexport.contract.export import CommonExport
    from cachexport.transfer.prepare import prepare_merged

    return caches if len(caches) == 1 else [prepare_merged(caches, CommonExport())]
