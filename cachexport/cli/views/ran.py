"""What became of caches while a command ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.contract.units import (
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cachexport.gateway.run.plan import PlannedCache, RunPlan
    from cachexport.gateway.run.run import Summary

_MOST = 3


def lines(prepared: RunPlan, summary: Summary) -> Iterator[str]:
    """Give what was read and written of each cache, and the bytes of all."""
    for end in prepared.caches:
        if prepared.tool.many_tags:
            yield from _images(end, summary)
        else:
            yield _cache(end, summary)
    targets = {end.repository for end in prepared.caches if end.is_target}
    there = {blob: size for blob, size in summary.spared.items() if blob[0] in targets}
    yield from _blobs("pulled", summary.pulled)
    yield from _blobs("pushed", summary.pushed)
    yield from _blobs("there already", there)


def problems(summary: Summary) -> Iterator[str]:
    """Give what went wrong, once each; of a place that is away every blob would be told of."""
    found = list(dict.fromkeys(summary.failed))
    yield from found[:_MOST]
    if found[_MOST:]:
        yield f"and {len(found) - _MOST} more requests failed"


def _cache(end: PlannedCache, summary: Summary) -> str:
    [found, written] = _tags(end, summary)
    if not end.is_target:
        return _line("read", end, found)
    if found and not written and not summary.failed:
        # Builders ask what the tag stands for, and push no manifest that it stands for already.
        return _line("found unchanged", end, found)
    return _line("wrote", end, written)


def _line(verb: str, end: PlannedCache, tags: Mapping[str, str]) -> str:
    [digest] = tags.values() or [""]
    return f"{verb} {end.spec}: {digest}" if digest else f"{verb} nothing: {end.spec}"


def _images(end: PlannedCache, summary: Summary) -> Iterator[str]:
    """Tell of the images of steps."""
    [found, written] = _tags(end, summary)
    if not end.is_target:
        yield f"read {len(found)} images: {end.spec}"
        return
    if found:  # of this or any other place: a tool with one repository reads all through it
        yield f"read {len(found)} images"
    yield f"wrote {len(written)} images: {end.spec}"


def _tags(end: PlannedCache, summary: Summary) -> list[Mapping[str, str]]:
    return [tags.get(end.repository, {}) for tags in (summary.found, summary.written)]


def _blobs(verb: str, sizes: Mapping[tuple[str, str], int]) -> Iterator[str]:
    if sizes:
        yield f"{verb}: {len(sizes)} blobs, {readable(sum(sizes.values()))}"
