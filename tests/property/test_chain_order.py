"""Graphs as builds make them give the same bytes in whatever order they are recorded.

In such a graph a record is told from others of its digest by what it depends on, a digest always
has as many inputs, and no two results of a record share an instant. Records come more than once,
with more alternatives at their inputs each time, as they do when builds are merged.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from cachexport import CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote, Timestamp

Link = tuple[int, str]
SELECTORS = ("", "sha256:" + "a" * 64, "sha256:" + "b" * 64)


@dataclass(frozen=True)
class Step:
    digest: Digest
    inputs: tuple[Link, ...]
    """The link that every recording of this step has at each input."""


@dataclass(frozen=True)
class Call:
    step: int
    more: tuple[tuple[Link, ...], ...]
    results: tuple[tuple[int, tuple[int, ...]], ...]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Step], list[Call]]:
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 12))):
        count = draw(st.integers(0, 3)) if number else 0
        link = st.tuples(st.integers(0, max(number - 1, 0)), st.sampled_from(SELECTORS))
        inputs = tuple(draw(link) for _ in range(count))
        name = draw(st.integers(0, 4)) if inputs else number
        digest = Digest.of(f"{name} of {count}".encode())
        # Two steps of one digest that share a link at some input can be joined by a third.
        apart = all(
            step.digest != digest or all(a != b for a, b in zip(step.inputs, inputs, strict=True))
            for step in steps
        )
        steps.append(Step(digest if apart else Digest.of(f"{number}!".encode()), inputs))
    anchors = {(step.digest, i, link) for step in steps for i, link in enumerate(step.inputs)}
    calls = [draw(_calls(steps, number, anchors)) for number in range(len(steps))]
    return steps, [call for few in calls for call in few]


@st.composite
def _calls(draw: st.DrawFn, steps: list[Step], number: int, anchors: set[object]) -> list[Call]:
    step = steps[number]
    link = st.tuples(st.integers(0, max(number - 1, 0)), st.sampled_from(SELECTORS))
    calls = []
    for turn in range(draw(st.integers(1, 3))):
        more = tuple(
            tuple(
                extra
                for extra in draw(st.lists(link, max_size=2))
                if (step.digest, i, extra) not in anchors
                # of several steps of one digest only one may have a given link
                and [s.digest for s in steps].count(step.digest) == 1
            )
            for i in range(len(step.inputs))
        )
        blobs = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
        results = ((turn, tuple(blobs)),) if draw(st.booleans()) else ()
        calls.append(Call(number, more, results))
    return calls


def descriptor(number: int) -> Descriptor:
    return Descriptor(media_type="", digest=Digest.of(b"blob %d" % number), size=number)


def record(steps: list[Step], calls: list[Call], order: list[int]) -> bytes:
    chains = CacheChains()
    records = {}
    for number in order:
        call = calls[number]
        step = steps[call.step]
        deps = [
            [CacheLink(records[src], selector) for src, selector in (link, *more)]
            for link, more in zip(step.inputs, call.more, strict=True)
        ]
        results = [
            CacheResult(Timestamp(call.step * 1000 + turn), Remote(map(descriptor, blobs)))
            for turn, blobs in call.results
        ]
        records[call.step] = chains.add(step.digest, deps, results)
    config, sources = chains.marshal()
    again, _ = CacheChains.parse(config.encode(), sources).marshal()
    assert again.encode() == config.encode()
    return config.encode()


def possible_order(steps: list[Step], calls: list[Call], wish: list[int]) -> list[int]:
    """Give the calls in the wished order, each put off until what it links to is there."""
    order: list[int] = []
    while len(order) < len(calls):
        there = {calls[number].step for number in order}
        order.append(
            next(
                number
                for number in wish
                if number not in order
                and {src for src, _ in steps[calls[number].step].inputs} <= there
                and {src for more in calls[number].more for src, _ in more} <= there
            )
        )
    return order


@settings(max_examples=300)
@given(graphs(), st.data())
def test_any_order_gives_the_same_bytes(graph, data):
    steps, calls = graph
    expected = record(steps, calls, list(range(len(calls))))
    wish = data.draw(st.permutations(range(len(calls))))
    assert record(steps, calls, possible_order(steps, calls, wish)) == expected


def closed(steps: list[Step], calls: list[Call], chosen: list[int]) -> list[int]:
    """Give the chosen calls and one of every step that they need, in a possible order."""
    wanted = set(chosen)
    first = {call.step: number for number, call in reversed(list(enumerate(calls)))}
    pending = list(chosen)
    while pending:
        call = calls[pending.pop()]
        links = [*steps[call.step].inputs, *(link for more in call.more for link in more)]
        fresh = {first[src] for src, _ in links} - wanted
        wanted |= fresh
        pending += fresh
    return sorted(wanted)


@settings(max_examples=200)
@given(graphs(), st.data())
def test_merging_parts_gives_the_whole_in_either_order(graph, data):
    steps, calls = graph
    numbers = list(range(len(calls)))
    chosen = data.draw(st.lists(st.sampled_from(numbers), unique=True))
    rest = [number for number in numbers if number not in chosen]
    parts = [record(steps, calls, closed(steps, calls, part)) for part in (chosen, rest)]
    whole = record(steps, calls, closed(steps, calls, numbers))
    for order in (parts, parts[::-1], [*parts, *parts]):
        chains = CacheChains()
        for part in order:
            chains.merge(part, [descriptor(i) for i in range(7)])
        assert chains.marshal()[0].encode() == whole
