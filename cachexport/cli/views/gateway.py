"""What a gateway answered, and what became of caches while a command ran."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from cachexport.cli.console import in_line
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cachexport.gateway.http.exchange import Exchange
    from cachexport.gateway.run.plan import PlannedCache, RunPlan
    from cachexport.gateway.run.run import Summary


def request_document(record: Exchange, now: float) -> str:
    """Give a request as JSON; `now` is in seconds since 1970."""
    told = {"time": round(now, 3), **asdict(record), "seconds": round(record.seconds, 4)}
    return json.dumps(told)


def message_document(kind: str, message: str, now: float) -> str:
    """Give what is about no request as JSON."""
    return json.dumps({"time": round(now, 3), "level": kind, "message": message})


def request_line(record: Exchange) -> str:
    """Give a request for people."""
    asked = f"{record.method} {record.path}" if record.method else "no request"
    moved = f" {record.received:,} in, {record.sent:,} out" if record.received + record.sent else ""
    text = f"{asked} {record.status} {record.seconds:.3f}s{moved} {record.error}"
    return in_line(text.rstrip())


_MOST_PROBLEMS = 3


def summary_lines(prepared: RunPlan, summary: Summary) -> Iterator[str]:
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
    """Give what went wrong, once each: when a place is away, every blob fails alike."""
    found = list(dict.fromkeys(summary.failed))
    yield from found[:_MOST_PROBLEMS]
    if found[_MOST_PROBLEMS:]:
        yield f"and {len(found) - _MOST_PROBLEMS} more requests failed"


def _cache(end: PlannedCache, summary: Summary) -> str:
    [found, written] = _tags(end, summary)
    if not end.is_target:
        return _cache_line("read", end, found)
    if found and not written and not summary.failed:
        # Builders ask what the tag stands for, and push no manifest that it stands for already.
        return _cache_line("found unchanged", end, found)
    return _cache_line("wrote", end, written)


def _cache_line(verb: str, end: PlannedCache, tags: Mapping[str, str]) -> str:
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
