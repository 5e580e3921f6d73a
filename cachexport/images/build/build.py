"""A build: one method call for each step."""

from __future__ import annotations

import dataclasses
import pathlib
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cachexport.content.progress import silent, step
from cachexport.errors import Conflict, InvalidInputError
from cachexport.images.build.graph import StepGraph, step_digest
from cachexport.images.build.image import BuiltImage, Stack, make_image
from cachexport.images.builder import Copying
from cachexport.images.config.history import HistoryEntry
from cachexport.images.config.settings import Settings, change_settings, working_dir
from cachexport.model.chains import CacheResult, Remote
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, Descriptor
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cachexport.content.progress import Progress
    from cachexport.images.build.graph import Position
    from cachexport.images.build.image import BuildBase
    from cachexport.images.build.workshop import Workshop
    from cachexport.model.chains import CacheChains
    from cachexport.oci.digest import Digest

    WriteImage = Callable[[str, BuiltImage], Descriptor]

_COMMENT = "cachexport"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that was done, or whose result was in a cache."""

    name: str
    digest: Digest
    is_cached: bool
    layer: Descriptor | None
    """The layer that it made; None when nothing changed."""


class Build:
    """Makes an image step by step; `cachexport.build` gives one. One thread at a time.

    A step whose result is in a cache is not done, and its layer is not fetched before it is needed.
    An error in a step leaves the build as it was before that step.
    """

    def __init__(
        self,
        base: BuildBase,
        known: CacheChains,
        workshop: Workshop,
        output: WriteImage,
        *,
        clock: Callable[[], float],
        is_inline: bool = False,
        progress: Progress = silent,
    ) -> None:
        self.steps: list[Step] = []
        self.responses: dict[str, dict[str, str]] = {}
        """The responses of the exports of the cache, by target, after the block."""
        self._workshop = workshop
        self._output = output
        self._clock = clock
        self._is_inline = is_inline
        self._progress = progress
        self._base = base
        self._graph = StepGraph(known)
        self._stack = Stack(base.top)
        self._config = base.config
        self._history: list[HistoryEntry] = []
        self._here: tuple[Position, ...] = ()
        if base.top is not None:
            position = self._graph.at(step_digest("base", diff_ids=self._stack.diff_ids))
            self._graph.keep(position, CacheResult(self._now(), base.top))
            self._here = (position,)

    @property
    def chains(self) -> CacheChains:
        """The graph of the steps so far, for an export by the caller."""
        return self._graph.made

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers so far, bottom first, those of the base too."""
        return self._stack.descriptors

    def copy(
        self,
        source: str | pathlib.Path,
        destination: str,
        *,
        exclude: Iterable[str] = (),
        link: bool = False,
    ) -> None:
        """Copy a file, or what is in a directory, into the image; root owns it there.

        A relative `destination` is below the working directory. One that ends with `/` is a
        directory, into which a file gets under its own name. `exclude` has patterns as in
        `.dockerignore`. The step is the same while names, modes, extended attributes and contents
        are.

        With `link` the layer does not depend on those below, as with `COPY --link`: nothing is
        unpacked, and a new base leaves it cached; links in the image are not followed.

        Raises NotFound, InvalidInputError, Conflict for a file that changes meanwhile.
        """
        if isinstance(exclude, str):
            raise InvalidInputError("exclude is a list of patterns, as in exclude=['*.pyc']")
        place = pathlib.Path(source)
        copying = Copying(
            source=place,
            destination=posixpath.join(working_dir(self._config), destination),
            exclude=tuple(exclude),
        )
        name = f"COPY {place.name or place} {destination}"
        if link:
            self._link(name, copying)
        else:
            content = copying.digest()

            def make() -> Descriptor | None:
                made = self._workshop.copy(self._stack, copying)
                _check_unchanged([copying], [content])
                return made

            self._step(name, step_digest("copy", content=content), make)

    def layer(
        self,
        *,
        key: str,
        make: Callable[[pathlib.Path], object],
        reads: Iterable[str | pathlib.Path] = (),
    ) -> None:
        """Call `make` with the image's root directory, and keep what it changes there as a layer.

        The step is the same while `key` and the content of the paths in `reads` are; whatever else
        decides the result belongs in the key. Raises what `make` raises.
        """
        if isinstance(reads, str | pathlib.Path):
            raise InvalidInputError("reads is a list of paths, as in reads=['requirements.txt']")
        read = [Copying(source=pathlib.Path(path), destination="x") for path in reads]
        contents = [copying.digest() for copying in read]

        def make_layer() -> Descriptor | None:
            made = self._workshop.make(self._stack, make)
            _check_unchanged(read, contents)
            return made

        self._step(f"LAYER {key}", step_digest("layer", key=key, reads=contents), make_layer)

    def config(self, **settings: Any) -> None:
        """Change how the image runs: the fields of `Settings`, as in `entrypoint=["/app"]`."""
        try:
            wanted = Settings(**settings)
        except TypeError:
            known = ", ".join(field.name for field in dataclasses.fields(Settings))
            unknown = ", ".join(settings.keys() - {f.name for f in dataclasses.fields(Settings)})
            raise InvalidInputError(f"no setting {unknown} (known: {known})") from None
        self._config = change_settings(self._config, wanted)
        self._note(f"CONFIG {wanted}", is_empty=True)

    def image(self) -> BuiltImage:
        """Give the image as it is now: its descriptor, and a provider of all its blobs.

        It can be read until the build is closed.
        """
        return make_image(
            self._base,
            self._config,
            self._stack,
            self._history,
            chains=self.chains if self._is_inline else None,
        )

    def export(self, output: str) -> Descriptor:
        """Write the image as it is now, and give the descriptor of the manifest written.

        `output` is as for `--output`, such as `type=docker,dest=app.tar,name=app:1`.
        """
        return self._output(output, self.image())

    def _step(self, name: str, digest: Digest, make: Callable[[], Descriptor | None]) -> None:
        position = self._graph.at(digest, *self._here)
        found = self._graph.cached(position)
        if found is not None:
            self._advance(name, position, self._stack.grown_to(found.remote), found.created_at)
            return
        with step(self._progress, name):
            desc = make()
        after = self._stack
        if desc is not None:
            after = after.put(Remote([self._described(desc, name)], self._workshop.content))
        self._advance(name, position, after)

    def _link(self, name: str, copying: Copying) -> None:
        """Do two steps: make a layer that is a result of its own, and put it on the stack."""
        content = copying.digest()
        alone = self._graph.at(step_digest("link", content=content))
        position = self._graph.at(step_digest("stack"), *self._here, alone)
        found = self._graph.cached(alone) or self._graph.cached(position)
        if found is None:
            with step(self._progress, name):
                desc = self._described(self._workshop.link(copying), name)
                _check_unchanged([copying], [content])
            layer = Remote([desc], self._workshop.content)
        else:
            layer = Remote([found.remote.descriptor], found.remote.provider)
        created_at = found.created_at if found else None
        self._graph.keep(alone, CacheResult(created_at or self._now(), layer))
        self._advance(name, position, self._stack.put(layer), created_at)

    def _advance(
        self, name: str, position: Position, after: Stack, cached_at: Timestamp | None = None
    ) -> None:
        """Record the result of a step; `cached_at` is its time in the cache it came from."""
        if cached_at is not None:
            with step(self._progress, f"CACHED {name}"):
                pass
        top, made_at = after.top, cached_at or self._now()
        self._graph.keep(position, CacheResult(made_at, top) if top else None)
        layer = top.descriptor if top and len(after) > len(self._stack) else None
        self.steps.append(
            Step(
                name=name,
                digest=position.digest,
                is_cached=cached_at is not None,
                layer=layer,
            )
        )
        self._stack, self._here = after, (position,)
        self._note(name, is_empty=layer is None)

    def _note(self, name: str, *, is_empty: bool) -> None:
        entry = HistoryEntry(
            created=Timestamp(self._workshop.epoch),
            created_by=name,
            comment=_COMMENT,
            empty_layer=is_empty,
        )
        self._history.append(entry)

    def _described(self, desc: Descriptor, name: str) -> Descriptor:
        notes = {DESCRIPTION: name, CREATED_AT: str(self._now())}
        return dataclasses.replace(desc, annotations={**desc.annotations, **notes})

    def _now(self) -> Timestamp:
        nanos = round(self._clock() * 1e9)
        return Timestamp(nanos // 10**9, nanos % 10**9)


def _check_unchanged(read: Iterable[Copying], contents: Iterable[Digest]) -> None:
    """Raise Conflict when files have changed since their digests became the key of the step.

    Otherwise the cache would have a wrong result under that key, for everybody.
    """
    for copying, content in zip(read, contents, strict=True):
        if copying.digest() != content:
            raise Conflict(
                f"{copying.source} changed while it was read; try again when nothing writes to it"
            )
