"""Builds: steps, what they leave in the cache, and what comes of them."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

import pytest
from unit.images.build.bench import Bench, cached, config, contents, exported, steps
from unit.images.builder.rig import entries

from cachexport import CacheChains, MemoryContent
from cachexport.content.copy import copy_blob
from cachexport.contract.export import CommonExport
from cachexport.errors import InvalidInputError, NotFound
from cachexport.images import select_image
from cachexport.images.build.image import read_base
from cachexport.images.store import Store
from cachexport.transfer.prepare import prepare_chains

if TYPE_CHECKING:
    from pathlib import Path


def test_each_step_is_a_layer_and_a_line_of_the_history(bench: Bench, source: Path) -> None:
    with bench.build(epoch=1_000_000_000) as build:
        steps(build, bench, source)
        made = build.image()
        assert contents(made) == [["deps"], ["app", "app/main"], [".", "compiled"]]
        found = config(made)
    assert found["config"]["Entrypoint"] == ["/app/main"]
    assert len(found["rootfs"]["diff_ids"]) == 3
    assert found["created"] == "2001-09-09T01:46:40Z"
    assert found["history"] == [
        {"created": found["created"], "created_by": line, "comment": "cachexport"} | more
        for line, more in [
            ("LAYER deps v1", {}),
            ("COPY src /app", {}),
            ("LAYER compile", {}),
            ('CONFIG entrypoint=["/app/main"]', {"empty_layer": True}),
        ]
    ]


def test_what_a_cache_has_is_not_done_again(bench: Bench, source: Path) -> None:
    with bench.build() as build:
        steps(build, bench, source)
        first, known = build.image().descriptor, exported(build)
    assert bench.done == ["deps", "compiled"]
    with bench.build(known) as build:
        steps(build, bench, source)
        assert build.image().descriptor == first
        assert cached(build) == [True, True, True]
    assert bench.done == ["deps", "compiled"]


def test_all_after_a_change_is_done_again(bench: Bench, source: Path) -> None:
    with bench.build() as build:
        steps(build, bench, source)
        known = exported(build)
    (source / "main").write_text("changed")
    with bench.build(known) as build:
        steps(build, bench, source)
        # What was compiled is the same as before, but after something else.
        assert cached(build) == [True, False, False]
        assert contents(build.image())[0] == ["deps"]
    assert bench.done == ["deps", "compiled", "compiled"]


def test_a_key_and_what_is_read_decide(bench: Bench, source: Path) -> None:
    def layer(known: CacheChains | None, key: str) -> tuple[bool, CacheChains]:
        with bench.build(known) as build:
            build.layer(key=key, make=bench.make("x"), reads=[source])
            return build.steps[0].is_cached, exported(build)

    _, known = layer(None, "a")
    assert layer(known, "a")[0]
    assert not layer(known, "b")[0]
    os.utime(source / "main", (1, 1))
    assert layer(known, "a")[0]
    (source / "main").write_text("other")
    assert not layer(known, "a")[0]


def test_cached_layers_stay_where_they_are_until_a_step_needs_them(
    bench: Bench, source: Path
) -> None:
    with bench.build() as build:
        steps(build, bench, source)
        known = exported(build)
    bench.store.collect_garbage()
    with bench.build(known) as build:
        steps(build, bench, source)
        assert bench.store.content.list() == []
        build.layer(key="new", make=bench.make("new"))
        assert len(bench.store.content.list()) == 4


def test_the_cache_of_a_build_that_was_cached_is_whole(bench: Bench, source: Path) -> None:
    with bench.build() as build:
        steps(build, bench, source)
        known = exported(build)
    with bench.build(known) as build:
        steps(build, bench, source)
        again = exported(build)
    with bench.build(again) as build:
        steps(build, bench, source)
        assert cached(build) == [True, True, True]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_linked_copy_stays_cached_on_another_base(bench: Bench, source: Path, mode: str) -> None:
    def build_on(base: str, known: CacheChains | None) -> tuple[list[bool], CacheChains]:
        with bench.build(known) as build:
            build.layer(key=base, make=bench.make(base))
            build.copy(source, "/app", link=True)
            build.layer(key="last", make=bench.make("last"))
            assert contents(build.image()) == [[base], ["app/main"], ["last"]]
            return cached(build), exported(build, mode)

    first, known = build_on("old", None)
    again, _ = build_on("old", known)
    moved, _ = build_on("new", known)
    assert first == [False, False, False]
    assert again == [True, True, True]
    assert moved == [False, mode == "max", False]


def test_a_copy_goes_where_links_of_the_image_lead_and_never_out(
    bench: Bench, source: Path, tmp_path: Path
) -> None:
    def prepare(root: Path) -> None:
        (root / "usr" / "bin").mkdir(parents=True)
        (root / "bin").symlink_to("usr/bin")
        (root / "out").symlink_to("/" + str(tmp_path))

    with bench.build() as build:
        build.layer(key="base", make=prepare)
        build.copy(source, "/bin")
        build.copy(source / "main", "/out/")
        assert contents(build.image())[1:] == [
            ["usr/bin/main"],
            [*_ways(str(tmp_path)), f"{str(tmp_path)[1:]}/main"],
        ]
    assert not (tmp_path / "main").exists()


def _ways(path: str) -> list[str]:
    names = path.strip("/").split("/")
    return ["/".join(names[:count]) for count in range(1, len(names) + 1)]


def test_relative_destinations_are_below_the_working_directory(bench: Bench, source: Path) -> None:
    with bench.build() as build:
        build.config(working_dir="/srv")
        build.copy(source / "main", "bin/")
        build.copy(source / "main", ".")
        assert contents(build.image()) == [["srv", "srv/bin", "srv/bin/main"], ["srv/main"]]


def test_a_step_that_changes_nothing_makes_no_layer(bench: Bench) -> None:
    with bench.build() as build:
        build.layer(key="nothing", make=lambda root: None)
        build.layer(key="x", make=bench.make("x"))
        build.layer(key="nothing more", make=lambda root: None)
        assert [step.layer is None for step in build.steps] == [True, False, True]
        assert len(build.layers) == 1
        assert [entry.get("empty_layer") for entry in config(build.image())["history"]] == [
            True,
            None,
            True,
        ]
        known = exported(build)
    with bench.build(known) as build:
        build.layer(key="nothing", make=lambda root: None)
        build.layer(key="x", make=bench.make("x"))
        build.layer(key="nothing more", make=lambda root: None)
        # Of the first one there is nothing that a cache could hold.
        assert cached(build) == [False, True, True]


def test_a_step_that_fails_leaves_the_build_as_it_was(bench: Bench, source: Path) -> None:
    def fail(root: Path) -> None:
        (root / "half").touch()
        raise RuntimeError("no")

    with bench.build() as build:
        build.layer(key="a", make=bench.make("a"))
        before, records = build.image().descriptor, len(build.chains)
        with pytest.raises(RuntimeError, match="no"):
            build.layer(key="b", make=fail)
        with pytest.raises(NotFound):
            build.copy(source / "none", "/")
        with pytest.raises(InvalidInputError, match=r"no setting entrypiont \(known: entrypoint,"):
            build.config(entrypiont=["/a"])
        assert build.image().descriptor == before
        assert len(build.chains) == records == 1


def test_the_same_steps_make_the_same_bytes(tmp_path: Path, source: Path) -> None:
    made = []
    for name in ("one", "two"):
        with Store.open(tmp_path / name, clock=lambda: 0.0) as store:
            bench = Bench(store)
            os.utime(source / "main", (len(made), 5))
            with bench.build() as build:
                steps(build, bench, source)
                made.append(build.image().descriptor)
    assert made[0] == made[1]


def test_a_build_goes_on_from_an_image(bench: Bench, source: Path) -> None:
    with bench.build() as build:
        steps(build, bench, source)
        below = build.image()
        base = read_base(below.provider, select_image(below.provider, below.descriptor))
        with bench.build(base=base) as more:
            assert more.image().descriptor == below.descriptor
            more.copy(source / "main", "/bin/")
            found = config(more.image())
            assert found["config"]["Entrypoint"] == ["/app/main"]
            assert [entry["created_by"] for entry in found["history"]][-2:] == [
                'CONFIG entrypoint=["/app/main"]',
                "COPY main /bin/",
            ]
            assert len(found["rootfs"]["diff_ids"]) == 4


def test_owners_and_times_are_those_of_no_machine(bench: Bench, source: Path) -> None:
    def work(root: Path) -> None:
        (root / "made").touch()

    with bench.build(epoch=7) as build:
        build.copy(source, "/app")
        build.layer(key="x", make=work)
        made = build.image()
        layers = select_image(made.provider, made.descriptor).layers
        found = [entry for layer in layers for entry in entries(made.provider, layer)]
        assert {entry.name for entry in found if entry.type != tarfile.DIRTYPE} == {
            "app/main",
            "made",
        }
        assert {(entry.uid, entry.gid) for entry in found} == {(0, 0)}
        assert {entry.mtime for entry in found if entry.isreg()} == {7}


def test_a_cached_layer_that_is_gone_is_made_again(bench: Bench, source: Path) -> None:
    with bench.build() as build:
        steps(build, bench, source)
        cache = prepare_chains(build.chains, CommonExport())
        content = MemoryContent()
        for layer in cache.layers[:2]:
            copy_blob(cache.provider, content, layer)
        known = CacheChains.parse(cache.config, cache.layers, content)
    with bench.build(known) as build:
        steps(build, bench, source)
        assert cached(build) == [True, True, False]


@pytest.mark.parametrize("wrong", ["exclude", "reads"])
def test_text_where_a_list_belongs_is_an_error(bench: Bench, source: Path, wrong: str) -> None:
    with bench.build() as build, pytest.raises(InvalidInputError, match=f"{wrong} is a list"):
        if wrong == "exclude":
            build.copy(source, "/", exclude="*.pyc")
        else:
            build.layer(key="x", make=bench.make("x"), reads="a")
