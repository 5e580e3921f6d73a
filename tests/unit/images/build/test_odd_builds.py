"""Builds in which something is not as it should be."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from unit.images.build.bench import Bench, cached, contents

from cachexport import CacheChains
from cachexport.errors import Conflict
from cachexport.images.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def test_what_changes_while_it_is_copied_is_not_recorded(bench: Bench, source: Path) -> None:
    def change(root: Path) -> None:
        (source / "main").write_text("MAIN")

    with bench.build() as build:
        with pytest.raises(Conflict, match="changed while it was read"):
            build.layer(key="x", make=change, reads=[source])
        assert len(build.chains) == len(build.steps) == 0
        build.layer(key="x", make=bench.make("x"), reads=[source])
        workshop = build._workshop
        link, copy = workshop.link, workshop.copy

        def changing(*args: Any) -> Any:
            (source / "main").write_text("a" + (source / "main").read_text())
            return link(*args) if len(args) == 1 else copy(*args)

        object.__setattr__(build, "_workshop", _Instead(workshop, link=changing, copy=changing))
        for is_linked in (True, False):
            with pytest.raises(Conflict, match="changed while it was read"):
                build.copy(source, "/app", link=is_linked)
        assert len(build.steps) == 1


class _Instead:
    """Something with other methods."""

    def __init__(self, own: Any, **other: Any) -> None:
        self.__dict__.update(other)
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def test_a_file_gets_into_a_directory_that_is_there(bench: Bench, source: Path) -> None:
    with bench.build() as build:
        build.layer(key="etc", make=lambda root: (root / "etc").mkdir())
        build.copy(source / "main", "/etc")
        assert contents(build.image())[1] == ["etc/main"]


def test_a_long_build_holds_what_it_made(tmp_path: Path) -> None:
    now = [0.0]
    with Store.open(tmp_path / "store", clock=lambda: now[0]) as store:
        bench = Bench(store)
        with bench.build() as build:
            for number in range(4):
                build.layer(key=str(number), make=bench.make(str(number)))
                now[0] += 80_000
                store.collect_garbage()
            assert len(contents(build.image())) == 4


def test_a_cached_layer_that_no_image_can_have_is_made_again(bench: Bench) -> None:
    with bench.build() as build:
        build.layer(key="a", make=bench.make("a"))
        [desc] = build.layers
        odd = dataclasses.replace(desc, media_type="application/octet-stream")
        config, _ = build.chains.marshal()
        known = CacheChains.parse(config, [odd], bench.store.content)
    with bench.build(known) as build:
        build.layer(key="a", make=bench.make("a"))
        assert cached(build) == [False]
