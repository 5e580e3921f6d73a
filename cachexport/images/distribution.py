"""Pulling images into a store, and pushing them to a registry."""

from __future__ import annotations

import enum
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cachexport.content.copy import ingest_bytes, move_missing
from cachexport.content.parallel import DEFAULT_THREADS
from cachexport.content.progress import silent, step
from cachexport.content.protocols import Distributed
from cachexport.images.parts import FallbackProvider, report_parts, take_apart
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Provider
    from cachexport.contract.images import ImageSource, ImageTarget
    from cachexport.images.store import NamedImage, Store, StoreContent
    from cachexport.oci.descriptor import Descriptor, Platform
    from cachexport.oci.digest import Digest
    from cachexport.oci.reference import Reference


def copy_image(
    provider: Provider,
    root: Descriptor,
    content: StoreContent,
    *,
    platform: Platform | None = None,
    progress: Progress = silent,
    threads: int = DEFAULT_THREADS,
) -> Descriptor:
    """Copy an image into a store, and give the descriptor of what is there now.

    That is the image for `platform`, or all that `root` names. `content` has a lease, which holds
    the image; it gets no name here. Blobs that the store has are not read from `provider`. Raises
    as `take_apart` and `copy_blob` do.
    """
    parts = take_apart(FallbackProvider(content, provider), root, platform)
    # Asked before the copy: of blobs in the store a provider that prefers it knows less.
    elsewhere = _elsewhere(provider, parts.all)
    move_missing(provider, content, parts.blobs, report_parts("copying", progress), threads)
    for desc, raw in (*parts.manifests, (parts.root, parts.raw)):
        ingest_bytes(content, desc, raw)
    for digest, repositories in elsewhere.items():
        content.add_repositories(digest, repositories)
    return parts.root


def _elsewhere(
    provider: Provider, descs: Iterable[Descriptor]
) -> dict[Digest, Mapping[str, Sequence[str]]]:
    """Give the repositories that are known to have each blob."""
    if not isinstance(provider, Distributed):
        return {}
    found = {desc.digest: provider.repositories(desc.digest) for desc in descs}
    return {digest: repositories for digest, repositories in found.items() if repositories}


def pull_named(
    source: ImageSource,
    store: Store,
    name: str,
    *,
    lease: str,
    platform: Platform | None = None,
    progress: Progress = silent,
) -> NamedImage:
    """Copy what `source` names into a store, and name it; the lease holds it meanwhile.

    Of an index it is the image for `platform`, or all of it. One image alone is taken whatever it
    is for. See `copy_image`. Raises NotFound when there is no such image.
    """
    content = store.content.under(store.leases.get(lease))
    with step(progress, f"resolving {name}"):
        root = source.resolve()
    if root.media_type in mediatype.MANIFESTS:
        platform = None
    copied = copy_image(source.provider, root, content, platform=platform, progress=progress)
    with step(progress, f"naming to {name}"):
        return store.images.put(name, copied)


@dataclass(frozen=True, slots=True)
class StorePuller:
    """Pulls images into `store` from where `find` finds them."""

    store: Store
    find: Callable[[Reference], ImageSource]
    progress: Progress = silent

    def pull(self, reference: Reference, platform: Platform | None, lease: str) -> NamedImage:
        """Copy the image for `platform`, or all of an index, and name it as `reference` does.

        It is held by the lease meanwhile. Raises NotFound when there is no such image.
        """
        with closing(self.find(reference)) as source:
            return pull_named(
                source,
                self.store,
                str(reference),
                lease=lease,
                platform=platform,
                progress=self.progress,
            )


def push_image(
    provider: Provider,
    root: Descriptor,
    target: ImageTarget,
    *,
    platform: Platform | None = None,
    progress: Progress = silent,
) -> Descriptor:
    """Copy the image for `platform`, or all that `root` names, and give it the target's name.

    Gives the descriptor of what has the name now. Blobs that are there already are not sent, nor
    those that can be mounted from another repository of the registry, nor nondistributable layers.
    The name is published last. Raises as `take_apart` and `copy_blob` do, AlreadyExists when the
    name stands for a build cache.
    """
    target.check()
    parts = take_apart(provider, root, platform)
    copying = report_parts("copying", progress)
    move_missing(provider, target.ingester, parts.blobs, copying, target.parallelism)
    for desc, raw in parts.manifests:
        with step(progress, f"writing manifest {desc.digest}"):
            ingest_bytes(target.ingester, desc, raw)
    with step(progress, f"writing manifest {parts.root.digest} as {target}"):
        target.publish(parts.root, parts.raw)
    return parts.root


class PullPolicy(enum.Enum):
    """When a registry is asked for an image."""

    MISSING = "missing"
    """When the store has none of that name for the platform."""
    ALWAYS = "always"
    NEVER = "never"


class Puller(Protocol):
    """Brings images into a store."""

    def pull(self, reference: Reference, platform: Platform | None, lease: str, /) -> NamedImage:
        """Copy the image for `platform`, or all of an index, and name it as `reference` does.

        The lease holds it meanwhile. Raises NotFound when there is no such image.
        """
