"""Writing, reading, copying and merging caches."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cachexport.api.answers import Answer, raise_failures
from cachexport.api.ends import named, open_source, open_targets, opened
from cachexport.content.progress import silent, step
from cachexport.contract.backend import Prefetching
from cachexport.contract.opening import expand, open_place
from cachexport.errors import CachexportError, InvalidInputError, NotFound
from cachexport.transfer.importer import load_caches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.backend import Target
    from cachexport.contract.export import CommonExport
    from cachexport.contract.spec import Spec
    from cachexport.model.chains import CacheChains
    from cachexport.model.envelope.cache import Cache, WrappedCache

    Preparing = Callable[[Sequence[Cache], CommonExport], WrappedCache]

_log = logging.getLogger(__name__)


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
        ends = [named(stack, *end) for to in targets for end in open_targets(to)]
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
        for item in reversed(found):  # so that the newest is the newest there too
            ends = [origin.source(item.name)], [goal.target(item.name)]
            hear = partial(heard, item.name)
            try:
                copy_cache(*ends, progress=progress, threads=threads, answered=hear)
            except CachexportError as error:
                if not answers or answers[-1].error is not error:
                    hear(Answer(str(ends[1][0]), error=error))
    raise_failures(answers)
    return answers


def tag_cache(spec: str, *others: str, progress: Progress = silent) -> list[Answer]:
    """Give a cache further names in the place where it is; one answer each."""
    with closing(open_place(spec)) as place:
        targets = [place.target(name) for name in others]
    return copy_cache([spec], targets, progress=progress)


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
        ends = [named(stack, *end) for text in targets for end in open_targets(text)]
        for _, target in ends:
            if isinstance(target, Prefetching):
                target.begin()
        # Only now: what is far away takes as long to answer as this takes to import.
        make = partial(preparing(), load_caches(opened(stack, sources), progress))
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
