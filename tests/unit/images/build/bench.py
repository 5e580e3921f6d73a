"""Builds in one store, one after another, and what came of them."""

from __future__ import annotations

import itertools
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from unit.images.builder.rig import named

from cachexport import CacheChains, MemoryContent
from cachexport.content.copy import copy_blob
from cachexport.contract.export import CommonExport
from cachexport.images import empty_config, read_config, select_image
from cachexport.images.build.build import Build
from cachexport.images.build.image import BuildBase
from cachexport.images.build.workshop import Workshop
from cachexport.images.builder import Rights, Snapshots
from cachexport.transfer.prepare import prepare_chains

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.images.build.image import BuiltImage
    from cachexport.images.store import Store

SCRATCH = BuildBase(config=empty_config("amd64"))


class Bench:
    """Builds in one store, one after another."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.done: list[str] = []
        self._clock = itertools.count(1_000_000)

    @contextmanager
    def build(
        self, known: CacheChains | None = None, base: BuildBase = SCRATCH, **options: Any
    ) -> Iterator[Build]:
        with self.store.leases.held(seconds=60) as lease:
            rights = Rights.of_process()
            workshop = Workshop(
                store=self.store,
                snapshots=Snapshots.open(self.store, rights=rights),
                lease=lease,
                rights=rights,
                **options,
            )
            yield Build(
                base,
                known or CacheChains(),
                workshop,
                lambda output, made: made.descriptor,
                clock=lambda: float(next(self._clock)),
            )

    def make(self, name: str, content: str = "x") -> Any:
        """Give what makes a file, and notes that it was called."""

        def work(root: Path) -> None:
            self.done.append(name)
            (root / name).write_text(content)

        return work


def exported(build: Build, mode: Any = "max") -> CacheChains:
    """Give what somebody reads who imports the cache of a build, with blobs of their own."""
    cache = prepare_chains(build.chains, CommonExport(mode=mode))
    content = MemoryContent()
    for layer in cache.layers:
        copy_blob(cache.provider, content, layer)
    return CacheChains.parse(cache.config, cache.layers, content)


def contents(made: BuiltImage) -> list[list[str]]:
    image = select_image(made.provider, made.descriptor)
    return [named(made.provider, layer) for layer in image.layers]


def config(made: BuiltImage) -> Any:
    return json.loads(read_config(made.provider, select_image(made.provider, made.descriptor)))


def cached(build: Build) -> list[bool]:
    return [step.is_cached for step in build.steps]


def steps(build: Build, bench: Bench, source: Path) -> None:
    build.layer(key="deps v1", make=bench.make("deps"))
    build.copy(source, "/app")
    build.layer(key="compile", make=bench.make("compiled"))
    build.config(entrypoint=["/app/main"])
