"""What differs between two caches, and where it began."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import caches
from support.builds import builds, cache_of, projects

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
)
from cachexport.api.caches import (
    load_cache,
)
from cachexport.contract.export import CommonExport
from cachexport.insight.diff import BlobCount, Difference, FirstChange, Reason, diff_caches
from cachexport.oci import mediatype
from cachexport.oci.descriptor import DESCRIPTION
from cachexport.transfer.prepare import prepare_chains


def d(name: str) -> Digest:
    return Digest.of(name.encode())


class Build:
    """Records steps by name; each has a result with a layer of its own unless it is a source."""

    def __init__(self, at: int = 1) -> None:
        self.chains = CacheChains()
        self._at = f"2026-01-01T00:00:{at:02d}Z"

    def source(self, name: str):
        return self.chains.add(d(name))

    def step(self, name: str, *inputs, layer: str = "", selectors=(), result: bool = True):
        raw = (layer or name).encode()
        desc = Descriptor(
            media_type=mediatype.OCI_LAYER,
            digest=Digest.of(raw),
            size=len(raw),
            annotations={DESCRIPTION: f"RUN {name}"},
        )
        results = [CacheResult(self._at, Remote([desc], MemoryContent([raw])))]
        pairs = zip(inputs, [*selectors, *[""] * len(inputs)], strict=False)
        deps = [[CacheLink(record, selector)] for record, selector in pairs]
        return self.chains.add(d(name), deps, results if result else [])

    def cache(self):
        return prepare_chains(self.chains, CommonExport())


def diff(a: Build, b: Build) -> Difference:
    return diff_caches([a.cache()], [b.cache()])


def simple(source: str = "src", run: str = "compile", selector: str = "", base: str = "base"):
    build = Build()
    below = build.step("install", build.source(base))
    middle = build.step(run, below, build.source(source), selectors=["", selector])
    build.step("test", build.step("link", middle))
    return build


def test_another_source_is_an_input_that_changed():
    [change] = diff(simple(), simple(source="other")).first
    assert change == FirstChange(
        reason=Reason.INPUT,
        digest=d("compile"),
        index=1,
        before=(d("src"),),
        after=(d("other"),),
        description="RUN compile",
    )


def test_another_base_is_an_input_that_changed():
    [change] = diff(simple(), simple(base="newer")).first
    assert (change.reason, change.digest, change.index) == (Reason.INPUT, d("install"), 0)
    assert (change.before, change.after) == ((d("base"),), (d("newer"),))


def test_another_command_is_a_digest_that_changed():
    [change] = diff(simple(), simple(run="compile -O2")).first
    assert change == FirstChange(
        reason=Reason.DIGEST,
        digest=d("compile -O2"),
        was=d("compile"),
        description="RUN compile -O2",
    )


def test_another_part_of_a_source_is_a_selector_that_changed():
    [change] = diff(simple(selector="a"), simple(selector="b")).first
    assert (change.reason, change.digest, change.index) == (Reason.SELECTOR, d("compile"), 1)
    assert (change.before, change.after) == (("a",), ("b",))


def test_what_is_only_there_in_one_is_new_or_gone():
    more = simple()
    more.step("docs", more.source("pages"))
    forward, back = diff(simple(), more), diff(more, simple())
    assert [(c.reason, c.digest) for c in forward.first] == [(Reason.NEW, d("pages"))]
    assert [(c.reason, c.digest) for c in back.first] == [(Reason.GONE, d("pages"))]
    assert {r.digest for r in forward.gained} == {r.digest for r in back.lost}
    assert forward.gained_blobs == back.lost_blobs == BlobCount(count=1, size=len("docs"))


def test_two_changes_at_one_place_are_not_guessed_at():
    a, b = Build(), Build()
    for build, names in ((a, ("x", "y")), (b, ("p", "q"))):
        base = build.step("base", build.source("context"))
        for name in names:
            build.step(name, base)
    assert sorted(change.reason for change in diff(a, b).first) == ["gone", "gone", "new", "new"]


def test_changes_in_two_branches_are_both_told():
    a, b = Build(), Build()
    for build, name in ((a, "old"), (b, "new")):
        for branch in ("left", "right"):
            build.step(f"{branch} run", build.step(branch, build.source(f"{branch} {name}")))
    first = diff(a, b).first
    assert {(c.reason, c.digest) for c in first} == {
        (Reason.INPUT, d("left")),
        (Reason.INPUT, d("right")),
    }


def test_a_new_result_of_the_same_is_a_change_without_cause():
    a, b = Build(1), Build(2)
    for build, layer in ((a, "one"), (b, "two")):
        build.step("run", build.source("src"), layer=layer)
    found = diff(a, b)
    [change] = found.changed
    assert (found.gained, found.lost, found.first) == ((), (), ())
    assert str(change.before.created_at) < str(change.after.created_at)
    assert (found.gained_blobs, found.lost_blobs) == (
        BlobCount(count=1, size=3),
        BlobCount(count=1, size=3),
    )


def test_of_a_real_build_the_file_that_changed_is_found_both_ways():
    a, b = (
        load_cache(f"type=local,src={caches.FOLDER / name}") for name in ("max", "max-src-changed")
    )
    found, back = diff_caches(a, b), diff_caches(b, a)
    [change], [undone] = found.first, back.first
    assert (change.reason, change.index) == (Reason.INPUT, 1)
    assert (change.before, change.after) == (undone.after, undone.before)
    assert change.after[0] in {r.digest for r in found.gained}
    assert (len(found.gained), len(found.lost), found.common) == (3, 0, 16)


@pytest.mark.parametrize("name", caches.LAYOUTS)
def test_a_cache_does_not_differ_from_itself(name):
    cache = load_cache(f"type=local,src={caches.FOLDER / name}")
    found = diff_caches(cache, cache)
    assert found.is_empty
    assert (found.first, found.a) == ((), found.b)


@settings(max_examples=80)
@given(st.data())
def test_both_ways_say_the_same(data):
    steps = data.draw(projects())
    a, b = ([cache_of(steps, data.draw(builds(steps)))] for _ in range(2))
    found, back = diff_caches(a, b), diff_caches(b, a)
    assert found.is_empty == back.is_empty
    assert sorted(r.digest for r in found.gained) == sorted(r.digest for r in back.lost)
    assert len(found.changed) == len(back.changed)
    assert found.a.records == found.common + len(found.lost)
    assert found.b.records == found.common + len(found.gained)
    assert diff_caches(a, a).is_empty
    # Whatever is missing in one has a beginning.
    assert bool(found.first) >= bool(found.gained or found.lost)
