"""Caches of several builds of one project, as hypothesis makes them up.

A step is told from others by what it depends on, and always has as many inputs. A step either
gives the same blob in every build, each time described in the words of that build, or it gives a
blob of its own each time. Results share their parents' layers, and instants often meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    Timestamp,
)
from cachexport.contract.export import CommonExport
from cachexport.oci import mediatype
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED
from cachexport.transfer.prepare import prepare_chains

if TYPE_CHECKING:
    from cachexport.model.envelope.cache import WrappedCache

SELECTORS = ("", "sha256:" + "a" * 64)


@dataclass(frozen=True)
class Step:
    digest: Digest
    inputs: tuple[tuple[int, str], ...]
    reproducible: bool


@dataclass(frozen=True)
class Made:
    """What one build has for a step: an instant, a choice of blob, and its own words for it."""

    at: int
    version: int
    words: dict[str, str] = field(hash=False)


@dataclass(frozen=True)
class Build:
    made: dict[int, Made | None]
    """By step; None is a record without result."""


@st.composite
def projects(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 8))):
        link = st.tuples(st.integers(0, max(number - 1, 0)), st.sampled_from(SELECTORS))
        inputs = tuple(draw(link) for _ in range(draw(st.integers(0, 2)) if number else 0))
        digest = Digest.of(
            f"{draw(st.integers(0, 3)) if inputs else number}/{len(inputs)}".encode()
        )
        # Two records of one digest that share a link at some input can be joined by a third.
        apart = all(
            step.digest != digest or all(a != b for a, b in zip(step.inputs, inputs, strict=True))
            for step in steps
        )
        name = digest if apart else Digest.of(f"{number}!".encode())
        steps.append(Step(name, inputs, draw(st.booleans())))
    return steps


def needed(steps: list[Step], wanted: set[int]) -> list[int]:
    for number in reversed(range(len(steps))):
        if number in wanted:
            wanted |= {src for src, _ in steps[number].inputs}
    return sorted(wanted)


@st.composite
def builds(draw: st.DrawFn, steps: list[Step]) -> Build:
    wanted = draw(st.sets(st.sampled_from(range(len(steps))), min_size=1))
    made: dict[int, Made | None] = {}
    for number in needed(steps, wanted):
        if not steps[number].reproducible and draw(st.booleans()):
            made[number] = None
            continue
        keys = draw(st.sets(st.sampled_from([CREATED_AT, DESCRIPTION, UNCOMPRESSED])))
        words = {key: f"{key} {draw(st.integers(0, 2))}" for key in keys if key != UNCOMPRESSED}
        if UNCOMPRESSED in keys:
            words[UNCOMPRESSED] = Digest.of(blob(number, 0))
        made[number] = Made(draw(st.integers(1, 3)), draw(st.integers(0, 2)), words)
    return Build(made)


def blob(number: int, version: int) -> bytes:
    return b"blob %d.%d" % (number, version)


def chains_of(steps: list[Step], build: Build) -> CacheChains:
    chains = CacheChains()
    records = {}
    remotes: dict[int, Remote] = {}
    for number, made in build.made.items():
        step = steps[number]
        deps = [[CacheLink(records[src], selector)] for src, selector in step.inputs]
        results = []
        if made is not None:
            base = remotes.get(step.inputs[0][0]) if step.inputs else None
            remotes[number] = _stacked(base, number, step, made)
            results = [CacheResult(Timestamp(made.at), remotes[number])]
        records[number] = chains.add(step.digest, deps, results)
    return chains


def _stacked(base: Remote | None, number: int, step: Step, made: Made) -> Remote:
    raw = blob(number, 0 if step.reproducible else made.version)
    desc = Descriptor(
        media_type=mediatype.OCI_LAYER,
        digest=Digest.of(raw),
        size=len(raw),
        annotations=made.words if step.reproducible else {},
    )
    content = MemoryContent([raw])
    return Remote([desc], content) if base is None else base.stack(desc, content)


def cache_of(steps: list[Step], build: Build) -> WrappedCache:
    return prepare_chains(chains_of(steps, build), CommonExport())
