"""List, add, copy, remove, touch, repair and verify the names of a place."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cachexport.api.caches import Answer, copy_cache, raise_failures
from cachexport.content.progress import silent
from cachexport.contract.opening import name_of, open_place, open_source
from cachexport.errors import CachexportError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.upkeep.names import NamedCache
    from cachexport.upkeep.repair import Repair
    from cachexport.upkeep.verify import Verification


def list_names(spec: str, pattern: str = "*") -> list[NamedCache]:
    """Describe the names in the place of a specification; see `upkeep.names.list_names`."""
    from cachexport.upkeep import names

    with closing(open_place(spec)) as place:
        return names.list_names(place, pattern)


def tag_cache(spec: str, *others: str, progress: Progress = silent) -> list[Answer]:
    """Add names to a cache in its own place. Gives one answer for each name."""
    with closing(open_place(spec)) as place:
        targets = [place.target(name) for name in others]
    return copy_cache([spec], targets, progress=progress)


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

    Gives one answer for each cache. If one fails, the others are still copied. Names that are not
    caches are skipped. Raises NotFound when nothing matches, else as `copy_cache` does.
    """
    from cachexport.upkeep import names

    answers: list[Answer] = []

    def heard(name: str, answer: Answer) -> None:
        answers.append(replace(answer, name=name))
        if answered is not None:
            answered(answers[-1])

    with closing(open_place(source)) as origin, closing(open_place(target)) as goal:
        found = names.list_caches(origin, pattern)
        if not found:
            raise NotFound(f"no cache in {origin.title} matches {pattern!r}")
        for item in reversed(found):  # so that the newest is newest in the target too
            ends = [origin.source(item.name)], [goal.target(item.name)]
            hear = partial(heard, item.name)
            try:
                copy_cache(*ends, progress=progress, threads=threads, answered=hear)
            except CachexportError as error:
                if not answers or answers[-1].error is not error:
                    hear(Answer(str(ends[1][0]), error=error))
    raise_failures(answers)
    return answers


def remove_names(
    spec: str,
    *,
    force: bool = False,
    dry_run: bool = False,
    removed: Callable[[str], None] = lambda name: None,
) -> list[str]:
    """Remove the name of a specification, or all that match its pattern, and list them.

    The blobs stay until `prune_caches` deletes them. See `upkeep.names.remove_names`.
    """
    from cachexport.upkeep import names

    with closing(open_place(spec)) as place:
        return names.remove_names(
            place, name_of(spec), force=force, dry_run=dry_run, removed=removed
        )


def touch_cache(spec: str) -> int:
    """Touch the names of a specification and their blobs, as if just written; say how many blobs.

    Expiry by age and the grace of `prune_caches` then spare them. Raises NotFound when there is
    no such name or a blob is gone, PluginError if the place keeps no ages, as with registries.
    """
    from cachexport.upkeep import names

    pattern = name_of(spec)
    with closing(open_place(spec)) as place:
        return names.touch_names(place, pattern)


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
    """Rewrite names without the results whose blobs are missing or damaged; see `upkeep.repair`.

    Without `pattern`, repairs the name of the specification. `origins` are sources to take such
    blobs from instead, in this order. Raises NotFound when there is no such name.
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


def verify_names(
    spec: str, pattern: str = "*", *, deep: bool = False, progress: Progress = silent
) -> list[Verification]:
    """Verify all caches in a place whose names match; each verification has its name.

    Names that are not caches are skipped. No blob is read twice. Raises NotFound when nothing
    matches.
    """
    from cachexport.contract.names import matching
    from cachexport.upkeep.verify import verify_entries

    with closing(open_place(spec)) as place:
        return verify_entries(place, matching(place, pattern), deep, progress)
