"""What a program calls: whole exports and imports, named by specifications."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cachexport.errors import CachexportError, InvalidInputError, NotFound, PluginError
from cachexport.maintenance import diff, explain, names, repair
from cachexport.maintenance.compact import compact_caches, compact_in_place
from cachexport.maintenance.gate import check_caches
from cachexport.maintenance.places import expand, name_of, open_place
from cachexport.maintenance.prune import prune_places
from cachexport.maintenance.repair import RepairPlan
from cachexport.maintenance.report.gather import gather
from cachexport.maintenance.usage import measure_usage
from cachexport.maintenance.verify import damage_of, verify_source
from cachexport.oci.timestamp import Timestamp
from cachexport.plugins import find_backend
from cachexport.spec import parse_spec
from cachexport.transfer.ends import Eager, ManyNamed
from cachexport.transfer.expiry import Expiring
from cachexport.transfer.fit import Limits
from cachexport.transfer.importer import load_caches, load_named, numbered
from cachexport.transfer.prepare import merge_caches, prepare, prepare_chains, prepare_merged
from cachexport.transfer.progress import silent, step
from cachexport.transfer.write import write

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from cachexport.chains import CacheChains
    from cachexport.envelope.cache import Cache, WrappedCache
    from cachexport.maintenance.compact import Compacted
    from cachexport.maintenance.diff import Difference
    from cachexport.maintenance.explain import Explanation
    from cachexport.maintenance.gate import Check, Demands
    from cachexport.maintenance.names import NamedCache
    from cachexport.maintenance.prune import Plan, Pruning
    from cachexport.maintenance.repair import Repair
    from cachexport.maintenance.report.gather import Report
    from cachexport.maintenance.usage import Usage
    from cachexport.maintenance.verify import Contents, Verification
    from cachexport.spec import CommonExport, Spec
    from cachexport.transfer.ends import Source, Target
    from cachexport.transfer.expiry import Rules
    from cachexport.transfer.progress import Progress

_log = logging.getLogger(__name__)
_End = TypeVar("_End", "Source", "Target")


@dataclass(frozen=True, slots=True)
class Answer:
    """How the export to one target ended.

    One that failed has an error and no response.
    """

    target: str
    """The specification, without its secrets."""
    response: dict[str, str] = field(default_factory=dict)
    error: CachexportError | None = None
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
    make = partial(prepare_chains, chains)
    with ExitStack() as stack:
        ends = [_named(stack, name, target) for name, target in open_targets(to)]
        answers = [_export(name, target, make, progress, threads) for name, target in ends]
    _raise(answers)
    return answers[0].response


def import_cache(source: str) -> CacheChains:
    """Read the graph of one source, such as `type=local,src=out`.

    Its layers are read when something needs them, not before. Raises NotFound when there is no
    cache.
    """
    return merge_caches(load_cache(source))


def diff_caches(a: str, b: str) -> Difference:
    """Compare the caches of two sources; see `maintenance.diff`."""
    return diff.diff_caches(load_cache(a), load_cache(b))


def explain_record(source: str, digest: str) -> list[Explanation]:
    """Explain the records of a digest, or of the one that begins so; see `maintenance.explain`."""
    with closing(open_source(source)) as opened:
        return explain.explain_record(load_caches([(source, opened)]), digest)


def check_cache(source: str, demands: Demands, before: str | None = None) -> list[Check]:
    """Check that a source's caches are as large as they should be; see `maintenance.gate`.

    `before` is a source to compare with; one that is not there is as good as none.
    """
    caches = load_cache(source)
    old: list[Cache] | None = None
    if before is not None:
        with suppress(NotFound):
            old = load_cache(before)
    return check_caches(caches, demands, old)


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
    return _transfer(prepare, sources, targets, progress, threads, answered)


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
    return _transfer(prepare_merged, sources, targets, progress, threads, answered)


def _transfer(
    prepared: Callable[[Sequence[Cache], CommonExport], WrappedCache],
    sources: Sequence[str | Spec],
    targets: Sequence[str | Spec],
    progress: Progress,
    threads: int | None,
    answered: Callable[[Answer], None] | None,
) -> list[Answer]:
    if isinstance(sources, str) or isinstance(targets, str):
        raise InvalidInputError("sources and targets are lists of specifications")
    with ExitStack() as stack:
        named = partial(_named, stack)
        # What comes last is closed first: a target may delete what a source still needs.
        ends = [named(name, target) for text in targets for name, target in open_targets(text)]
        for _, target in ends:
            if isinstance(target, Eager):
                target.begin()
        make = partial(prepared, load_caches(_opened(stack, sources), progress))
        answers = []
        for name, target in ends:
            answers.append(_export(name, target, make, progress, threads))
            if answered is not None:
                answered(answers[-1])
    _raise(answers)
    return answers


def load_cache(source: str) -> list[Cache]:
    """Read what one source names, without making a graph of it: one cache, or inline caches.

    A source with a pattern for a name has all caches that match.
    """
    return load_caches([(str(spec), open_source(spec)) for spec in expand(source)])


def verify_cache(
    source: str, *, deep: bool = False, progress: Progress = silent
) -> list[Verification]:
    """Look whether all that a source's caches need is there, and with `deep` whether it is right.

    Gives one verification for each cache, with every fault that was found. Raises NotFound when
    there is no cache.
    """
    known: Contents = {}
    return _verify(parse_spec(source), deep, progress, known)


def verify_names(
    spec: str, pattern: str = "*", *, deep: bool = False, progress: Progress = silent
) -> list[Verification]:
    """Verify all caches in a place whose names match; each verification tells its name.

    What is no cache is left out. No blob is read twice. Raises NotFound when nothing matches.
    """
    known: Contents = {}
    verified = []
    with closing(open_place(spec)) as place:
        found = [entry for entry in place.entries() if fnmatchcase(entry.name, pattern)]
        for entry in found:
            try:
                items = _verify(place.source(entry.name), deep, progress, known)
            except NotFound:
                items = damage_of(place, entry)
            verified += [replace(item, name=entry.name) for item in items]
    if not found:
        raise NotFound(f"no name in {place.title} matches {pattern!r}")
    return verified


def repair_names(
    spec: str,
    pattern: str | None = None,
    *,
    origins: Sequence[str] = (),
    deep: bool = False,
    drop_damaged: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> list[Repair]:
    """Rewrite names without the results whose blobs are gone or wrong; see `maintenance.repair`.

    Without a pattern the name of the specification is meant. `origins` are sources that may have
    the blobs.
    """
    with ExitStack() as stack:
        place = stack.enter_context(closing(open_place(spec)))
        sources = [stack.enter_context(closing(open_source(text))) for text in origins]
        plan = RepairPlan(
            deep=deep,
            origins=tuple(source.provider for source in sources),
            drop_damaged=drop_damaged,
            dry_run=dry_run,
        )
        return repair.repair_names(
            place, name_of(spec) if pattern is None else pattern, plan, progress
        )


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
    """Make a cache smaller, in place or, with `to`, in a copy; see `maintenance.compact`.

    Config and manifest get `max_config_bytes` at most, by default as many as BuildKit imports
    from where the cache is to be: any number from a bucket. With `dry_run` nothing is written.
    """
    with ExitStack() as stack:
        ends = [_named(stack, *end) for end in open_targets(to or _own_target(spec))]
        limits = [Limits(size=end.import_limit, layers=max_layers) for _, end in ends]
        if max_config_bytes is not None:
            limits = [Limits(size=max_config_bytes, layers=max_layers)]
        if to is None and not dry_run:
            [(_, target)] = ends
            return compact_in_place(target, limits[0], progress)
        _, source = _named(stack, spec, open_source(spec if to else _own_source(spec)))
        caches = load_caches([(str(parse_spec(spec)), source)], progress)
        compacted = compact_caches(caches, limits[0])
        for _, target in () if dry_run else ends:
            write(compacted.cache, target, progress, threads)
    return compacted


def _own_target(text: str) -> Spec:
    """Give the specification that writes what another one reads."""
    with closing(open_place(text)) as place:
        return place.target(name_of(text))


def _own_source(text: str) -> Spec:
    """Give the specification that reads what another one writes."""
    with closing(open_place(text)) as place:
        return place.source(name_of(text))


def list_names(spec: str, pattern: str = "*") -> list[NamedCache]:
    """Describe the names in the place that a specification is in; see `maintenance.names`."""
    with closing(open_place(spec)) as place:
        return names.list_names(place, pattern)


def remove_names(spec: str, *, force: bool = False) -> list[str]:
    """Take away the name of a specification, or all that match its pattern, and give them.

    The blobs stay until `prune_caches`. See `maintenance.names.remove_names`.
    """
    with closing(open_place(spec)) as place:
        return names.remove_names(place, name_of(spec), force=force)


def tag_cache(spec: str, *others: str, progress: Progress = silent) -> list[Answer]:
    """Give a cache further names in the place where it is; one answer each."""
    with closing(open_place(spec)) as place:
        targets = [place.target(name) for name in others]
    return copy_cache([spec], targets, progress=progress)


def touch_cache(spec: str) -> int:
    """Make the blobs of a cache and its names as young as new ones; say how many blobs.

    Expiry by age and the grace of `prune_caches` spare them then. Raises NotFound when there is
    no such name or a blob is gone, PluginError where nothing has an age, as in registries.
    """
    pattern = name_of(spec)
    with closing(open_place(spec)) as place:
        return names.touch_names(place, pattern)


def prune_caches(
    specs: Sequence[str], plan: Plan, *, now: float | None = None, progress: Progress = silent
) -> list[Pruning]:
    """Remove old names and the blobs that no name needs, or say what would be; see `Plan`.

    Of each specification the whole place is meant. `now` is in seconds since 1970, by default
    the time; places that have a clock of their own go by that.
    """
    with ExitStack() as stack:
        places = [stack.enter_context(closing(open_place(spec))) for spec in specs]
        return prune_places(places, plan, time.time() if now is None else now, progress)


def lifecycle_rules(spec: str, days: int, *, apply: bool = False) -> Rules:
    """Give rules that let a place expire names after so many days, and blobs late enough.

    With `apply` the place goes by them from then on; its other rules stay. Raises PluginError
    where there is no such thing.
    """
    parsed = parse_spec(spec)
    backend = find_backend(parsed.type)
    if not isinstance(backend, Expiring):
        raise PluginError(
            f"type={parsed.type} expires nothing by itself; run `cachexport prune` now and then"
        )
    with closing(backend.expiry(parsed)) as expiry:
        rules = expiry.rules(days)
        if apply:
            expiry.apply(rules)
    return rules


def copy_names(
    source: str,
    target: str,
    pattern: str = "*",
    *,
    progress: Progress = silent,
    threads: int | None = None,
    answered: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """Copy all caches in a place whose names match to another place, each under its own name.

    One answer each; those that fail do not keep others from being copied. What is no cache is
    left out. Raises NotFound when nothing matches, else as `copy_cache` does.
    """
    answers: list[Answer] = []

    def heard(answer: Answer) -> None:
        answers.append(answer)
        if answered is not None:
            answered(answer)

    with closing(open_place(source)) as origin, closing(open_place(target)) as goal:
        found = [item for item in names.list_names(origin, pattern) if item.kind != names.NO_CACHE]
        if not found:
            raise NotFound(f"no cache in {origin.title} matches {pattern!r}")
        for item in found:
            ends = [origin.source(item.name)], [goal.target(item.name)]
            try:
                copy_cache(*ends, progress=progress, threads=threads, answered=heard)
            except CachexportError as error:
                if not answers or answers[-1].error is not error:
                    heard(Answer(str(ends[1][0]), error=error))
    _raise(answers)
    return answers


def cache_usage(sources: Sequence[str | Spec], *, progress: Progress = silent) -> Usage:
    """Say how many bytes the layers of caches need, and which of these nothing else needs.

    Each cache has the name of its source; an image's several are numbered. Raises NotFound when
    none is there; of several sources one that is not is a warning.
    """
    with ExitStack() as stack:
        opened = _opened(stack, sources)
        return measure_usage(
            (numbered(name, number, len(caches)), cache)
            for name, caches in load_named(opened, progress)
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
    moment = None if now is None else Timestamp.of(now)
    with ExitStack() as stack:
        return gather(_opened(stack, sources), deep=deep, now=moment, progress=progress)


def open_source(text: str | Spec) -> Source:
    """Give the source that a `--cache-from` describes; the caller closes it."""
    spec = parse_spec(text)
    return find_backend(spec.type).source(spec)


def open_targets(text: str | Spec) -> list[tuple[str, Target]]:
    """Give the targets that a `--cache-to` describes, one for each name, and how each is called.

    The caller closes them.
    """
    spec = parse_spec(text)
    backend = find_backend(spec.type)
    several = backend.split(spec) if isinstance(backend, ManyNamed) else (spec,)
    return [(str(one), backend.target(one)) for one in several]


def _verify(source: Spec, deep: bool, progress: Progress, known: Contents) -> list[Verification]:
    with closing(open_source(source)) as opened, step(progress, f"verifying cache {source}"):
        found = verify_source(opened, deep=deep, progress=progress, known=known)
    if not found:
        raise NotFound(f"{source}: the image has no inline cache")
    return found


def _opened(stack: ExitStack, sources: Sequence[str | Spec]) -> list[tuple[str, Source]]:
    """Open the sources of specifications, several where one has a pattern, until the stack ends."""
    if isinstance(sources, str):
        raise InvalidInputError("sources are a list of specifications")
    expanded = [spec for text in sources for spec in expand(text)]
    return [_named(stack, str(spec), open_source(spec)) for spec in expanded]


def _named(stack: ExitStack, name: str, end: _End) -> tuple[str, _End]:
    """Give an end with its name for messages; it is closed with the stack."""
    return name, stack.enter_context(closing(end))


def _export(
    name: str,
    target: Target,
    make: Callable[[CommonExport], WrappedCache],
    progress: Progress,
    threads: int | None,
) -> Answer:
    ignored = target.common.ignore_error
    try:
        with step(progress, f"exporting cache to {name}"):
            response = write(make(target.common), target, progress, threads)
    except CachexportError as error:
        if ignored:
            _log.warning("ignoring a failed export to %s: %s", name, error)
        return Answer(name, error=error, ignored=ignored)
    return Answer(name, response)


def _raise(answers: Sequence[Answer]) -> None:
    errors = [answer.error for answer in answers if answer.error and not answer.ignored]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several exports failed", errors)
