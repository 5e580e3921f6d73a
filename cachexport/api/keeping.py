"""Looking after caches that live for years."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from cachexport.api.ends import named, open_source, open_targets
from cachexport.content.progress import silent
from cachexport.contract.discovery import find_backend
from cachexport.contract.expiry import Expiring
from cachexport.contract.opening import has_pattern, name_of, open_place
from cachexport.contract.spec import parse_spec
from cachexport.errors import InvalidInputError, PluginError
from cachexport.transfer.importer import load_caches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.expiry import Rules
    from cachexport.contract.spec import Spec
    from cachexport.upkeep.compact import Compacted
    from cachexport.upkeep.prune import Plan, Pruning
    from cachexport.upkeep.repair import Repair


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
    """Rewrite names without the results whose blobs are gone or wrong; see `upkeep.repair`.

    Without a pattern the name of the specification is meant. `origins` are sources that may have
    the blobs. Raises NotFound when there is no such name.
    """
    from cachexport.contract.names import matching, meant
    from cachexport.upkeep import repair

    with ExitStack() as stack:
        place = stack.enter_context(closing(open_place(spec)))
        sources = [stack.enter_context(closing(open_source(text))) for text in origins]
        plan = repair.RepairPlan(
            deep=deep,
            origins=tuple(source.provider for source in sources),
            drop_damaged=drop_damaged,
            dry_run=dry_run,
        )
        entries = meant(place, name_of(spec)) if pattern is None else matching(place, pattern)
        return repair.repair_names(place, entries, plan, progress)


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
        ends = [named(stack, *end) for end in open_targets(to or _own_target(spec))]
        limits = [Limits(size=end.import_limit, layers=max_layers) for _, end in ends]
        if max_config_bytes is not None:
            limits = [Limits(size=max_config_bytes, layers=max_layers)]
        if to is None and not dry_run:
            [(_, target)] = ends
            return compact_in_place(target, limits[0], progress)
        _, source = named(stack, spec, open_source(spec if to else _own_source(spec)))
        caches = load_caches([(str(parse_spec(spec)), source)], progress)
        compacted = compact_caches(caches, limits[0])
        for _, target in () if dry_run else ends:
            write(compacted.cache, target, progress, threads)
    return compacted


def remove_names(
    spec: str,
    *,
    force: bool = False,
    dry_run: bool = False,
    removed: Callable[[str], None] = lambda name: None,
) -> list[str]:
    """Take away the name of a specification, or all that match its pattern, and give them.

    The blobs stay until `prune_caches`. See `upkeep.names.remove_names`.
    """
    from cachexport.upkeep import names

    with closing(open_place(spec)) as place:
        return names.remove_names(
            place, name_of(spec), force=force, dry_run=dry_run, removed=removed
        )


def touch_cache(spec: str) -> int:
    """Make the blobs of a cache and its names as young as new ones; say how many blobs.

    Expiry by age and the grace of `prune_caches` spare them then. Raises NotFound when there is
    no such name or a blob is gone, PluginError where nothing has an age, as in registries.
    """
    from cachexport.upkeep import names

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
    from cachexport.upkeep.prune import prune_places

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
            rules = expiry.apply(rules)
    return rules


def _own_target(text: str) -> Spec:
    """Give the specification that writes what another one reads."""
    with closing(open_place(text)) as place:
        return place.target(name_of(text))


def _own_source(text: str) -> Spec:
    """Give the specification that reads what another one writes."""
    with closing(open_place(text)) as place:
        return place.source(name_of(text))
