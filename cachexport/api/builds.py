"""Building images, with caches from and to any place."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cachexport.api.caches import export_chains, raise_failures
from cachexport.api.images import open_image, output_image
from cachexport.content.clock import clock as context_clock
from cachexport.content.progress import silent, step
from cachexport.contract.opening import enter, expand, open_source, open_targets
from cachexport.contract.spec import parse_spec
from cachexport.errors import CachexportError, InvalidInputError, NotFound
from cachexport.images import empty_config, select_image
from cachexport.images.build.build import Build
from cachexport.images.build.image import BuildBase, read_base
from cachexport.images.build.workshop import Workshop
from cachexport.images.builder import PullPolicy, Rights, Snapshots
from cachexport.images.image import OpenedImage
from cachexport.images.store import Store
from cachexport.images.store.leases import DAY
from cachexport.images.store.store import home_store
from cachexport.model.chains import CacheChains
from cachexport.oci.platform import parse_platform
from cachexport.oci.reference import Reference

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.spec import Spec
    from cachexport.images.build.image import BuiltImage
    from cachexport.images.store import Lease
    from cachexport.oci.descriptor import Descriptor, Platform


_log = logging.getLogger(__name__)
_INLINE = "inline"
_SCRATCH = "scratch"
_LAST_SECOND = 1 << 33
"""Seconds since 1970, in 2242: later times do not fit into a plain tar header."""
_LABELS = {"cachexport.lease": "build"}


@contextmanager
def build(
    base: str = "scratch",
    *,
    cache_from: Sequence[str] = (),
    cache_to: Sequence[str] = (),
    platform: str | None = None,
    pull: str = "missing",
    store: pathlib.Path | None = None,
    epoch: int = 0,
    progress: Progress = silent,
    clock: Callable[[], float] | None = None,
) -> Iterator[Build]:
    """Build an image step by step in the block, and export its cache at the end of it.

        with cachexport.build("alpine:3.20", cache_from=[spec], cache_to=[spec]) as b:
            b.copy("src", "/app")
            b.config(entrypoint=["/app/run"])
            b.export("type=docker,dest=app.tar,name=app:1")

    `base` is an image in the store or in a registry, or `scratch`; `pull` says when the registry is
    asked, as `missing`, `always` or `never`. Its layers are fetched when a step needs them.
    `cache_from` and `cache_to` are specifications as for BuildKit; a cache that cannot be read is a
    warning, and `type=inline` puts the records into the image. Layers are made in `store`, by
    default the user's own. New files and history entries have the time `epoch`, seconds since 1970,
    so that the same steps make the same image. `clock` gives the time in seconds since 1970, by
    default as the clock of the context does.

    When the block raises, no cache is exported. Raises InvalidAttr and the like for a bad
    specification before anything is done; an ExceptionGroup where several exports fail.
    """
    _check_lists(cache_from=cache_from, cache_to=cache_to)
    _check_epoch(epoch)
    wanted = parse_platform(os.uname().machine if platform is None else platform)
    policy = _pull_policy(pull)
    is_inline, targets = _targets(cache_to)
    with ExitStack() as stack:
        home = stack.enter_context(Store.open(store or home_store(os.environ), clock=clock))
        lease = stack.enter_context(home.leases.held(labels=_LABELS, seconds=DAY))
        rights = Rights.of_process()
        workshop = Workshop(
            store=home,
            snapshots=Snapshots.open(home, rights=rights),
            lease=lease,
            rights=rights,
            epoch=epoch,
        )
        finder = _BaseFinder(stack=stack, store=home, lease=lease, platform=wanted, pull=policy)
        made = Build(
            finder.base(base),
            _known(stack, cache_from, progress),
            workshop,
            partial(_export, store=home, progress=progress),
            clock=clock or context_clock().now,
            is_inline=is_inline,
            progress=progress,
        )
        yield made
        answers = export_chains(made.chains, targets, progress=progress)
        made.responses |= {answer.target: answer.response for answer in answers}
    raise_failures(answers)


def _check_lists(**given: object) -> None:
    for name, value in given.items():
        if isinstance(value, str):
            raise InvalidInputError(f"{name} is a list of specifications")


def _check_epoch(epoch: object) -> None:
    if type(epoch) is not int or not 0 <= epoch < _LAST_SECOND:
        raise InvalidInputError(f"epoch is a number of seconds since 1970, not {epoch!r}")


def _pull_policy(text: str) -> PullPolicy:
    known = sorted(policy.value for policy in PullPolicy)
    if text not in known:
        raise InvalidInputError(f"pull is one of {', '.join(known)}, not {text!r}")
    return PullPolicy(text)


def _targets(cache_to: Sequence[str]) -> tuple[bool, list[str]]:
    """Say whether the image gets the cache, and give the other targets, checked."""
    targets = [text for text in cache_to if parse_spec(text).type != _INLINE]
    for text in targets:
        for _, target in open_targets(text):
            target.close()
    return len(targets) < len(cache_to), targets


def _export(output: str, made: BuiltImage, *, store: Store, progress: Progress) -> Descriptor:
    image = OpenedImage(made.provider, made.descriptor, close=lambda: None)
    return output_image(output, image, store=store, progress=progress)


def _known(stack: ExitStack, cache_from: Sequence[str], progress: Progress) -> CacheChains:
    """Give the graph of all caches that can be read."""
    known = CacheChains()
    for text in cache_from:
        for spec in expand(text):
            name, source = enter(stack, str(spec), open_source(spec))
            try:
                with step(progress, f"importing cache manifest from {name}"):
                    read = source.load()
                # A damaged cache may have merged a part of its graph by then; that part is valid.
                for cache in read:
                    known.merge(cache.config, cache.layers, cache.provider)
            except CachexportError as error:
                _log.warning("building without the cache %s: %s", name, error)
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class _BaseFinder:
    """Finds the image that a build begins with, and has it open until `stack` ends."""

    stack: ExitStack
    store: Store
    lease: Lease
    platform: Platform
    pull: PullPolicy

    def base(self, text: str) -> BuildBase:
        """Open the image that a build begins with."""
        wanted = self.platform
        if text == _SCRATCH:
            return BuildBase(config=empty_config(wanted.architecture, wanted.os, wanted.variant))
        spec = parse_spec(text)
        return (spec.type == "registry" and self._in_store(spec.attrs["ref"])) or self._elsewhere(
            spec
        )

    def _in_store(self, text: str) -> BuildBase | None:
        name = str(Reference.parse(text))
        content = self.store.content.under(self.lease)
        try:
            if self.pull is PullPolicy.ALWAYS:
                return None
            root = self.store.images.get(name).target
            self.store.leases.add(self.lease.id, root.digest)
            return read_base(content, select_image(content, root, self.platform))
        except NotFound:
            if self.pull is PullPolicy.NEVER:
                raise
            return None

    def _elsewhere(self, spec: Spec) -> BuildBase:
        opened = self.stack.enter_context(open_image(spec))
        image = select_image(opened.provider, opened.descriptor, self.platform)
        return read_base(opened.provider, image)
