"""The parts of an image: the manifests, configs and layers that a copy of it needs."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.content.progress import step
from cachexport.content.protocols import Distributed, InfoProvider
from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import NotFound, WireFormat
from cachexport.images.image import images_of, read_image, select_image
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci import mediatype
from cachexport.oci.index import IMAGE_NAME, REF_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from cachexport.content.copy import Moving
    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Provider, Reader
    from cachexport.oci.descriptor import Descriptor, Platform
    from cachexport.oci.digest import Digest


_NAMES = (IMAGE_NAME, REF_NAME)
_READABLE = mediatype.MANIFESTS | mediatype.INDEXES


@dataclass(frozen=True, slots=True)
class FallbackProvider:
    """A Provider that reads from `far` what `near` lacks."""

    near: Provider
    far: Provider

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        try:
            return self.near.open(desc)
        except NotFound:
            return self.far.open(desc)

    def repositories(self, digest: Digest, /) -> Mapping[str, Sequence[str]]:
        """See Distributed. `near` alone answers for what it has, which need not come from `far`."""
        provider = self.near if _has(self.near, digest) else self.far
        return provider.repositories(digest) if isinstance(provider, Distributed) else {}


def _has(provider: Provider, digest: Digest) -> bool:
    try:
        return isinstance(provider, InfoProvider) and bool(provider.info(digest))
    except NotFound:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An image or an index of images, taken apart."""

    root: Descriptor
    raw: bytes
    manifests: Sequence[tuple[Descriptor, bytes]]
    """Manifests below the root, each after those that it refers to."""
    blobs: Sequence[Descriptor]
    """Configs and layers, each once, without nondistributable layers."""

    @property
    def all(self) -> tuple[Descriptor, ...]:
        """Everything, the root last."""
        return (*self.blobs, *(desc for desc, _ in self.manifests), self.root)


@dataclass(frozen=True, slots=True)
class _ManifestCache:
    """A Provider that asks once for each manifest."""

    provider: Provider
    known: dict[Digest, bytes] = field(default_factory=dict)

    def open(self, desc: Descriptor, /) -> Reader:
        if desc.media_type not in _READABLE:
            return self.provider.open(desc)
        if desc.digest not in self.known:
            self.known[desc.digest] = read_blob(self.provider, desc, limit=METADATA_LIMIT)
        return io.BytesIO(self.known[desc.digest])


def take_apart(provider: Provider, root: Descriptor, platform: Platform | None = None) -> Parts:
    """Find all blobs that `root` needs, or of an index those of the image for `platform`.

    Without a platform an index is taken as a whole, attestations and all. Raises as `select_image`
    and `read_image` do, FailedPrecondition for a build cache above all.
    """
    provider = _ManifestCache(provider)
    if platform is not None:
        root = select_image(provider, root, platform).descriptor
    _check_is_of_images(provider, root)
    *manifests, (_, raw) = _manifests(provider, root)
    found = [child for its in (*(raw for _, raw in manifests), raw) for child in _children(its)]
    blobs = {
        desc.digest: desc
        for desc in found
        if desc.media_type not in _READABLE and not mediatype.is_foreign(desc.media_type)
    }
    return Parts(root=_nameless(root), raw=raw, manifests=manifests, blobs=tuple(blobs.values()))


def _check_is_of_images(provider: Provider, root: Descriptor) -> None:
    found = images_of(provider, root)
    if not found:
        raise NotFound(f"{root.digest} has no image")
    if root.media_type in mediatype.MANIFESTS:
        read_image(provider, root)


def _manifests(provider: Provider, root: Descriptor) -> list[tuple[Descriptor, bytes]]:
    """Read all manifests below `root` and its own, each after those that it refers to."""
    seen: set[Digest] = set()
    done: dict[Digest, tuple[Descriptor, bytes]] = {}
    pending = [root]
    while pending:
        desc = pending[-1]
        raw = read_blob(provider, desc, limit=METADATA_LIMIT)
        if desc.digest not in seen:
            seen.add(desc.digest)
            below = [child for child in _decoded(raw, desc) if child.media_type in _READABLE]
            pending += [child for child in reversed(below) if child.digest not in seen]
        else:
            done.setdefault(pending.pop().digest, (_plain(desc), raw))
    return list(done.values())


def _decoded(raw: bytes, desc: Descriptor) -> tuple[Descriptor, ...]:
    try:
        return _children(raw)
    except WireFormat as error:
        raise WireFormat(f"the manifest {desc.digest}: {error.problem}", error.path) from error


def _children(raw: bytes) -> tuple[Descriptor, ...]:
    manifest = decode_manifest(raw)
    config = () if manifest.config is None else (manifest.config,)
    return (*config, *manifest.layers, *manifest.manifests)


def _nameless(root: Descriptor) -> Descriptor:
    """Leave out the names that it had in an archive or a layout."""
    kept = {key: text for key, text in root.annotations.items() if key not in _NAMES}
    return dataclasses.replace(root, annotations=kept, data=b"", urls=())


def _plain(desc: Descriptor) -> Descriptor:
    """Leave out what only an index says of it."""
    return dataclasses.replace(desc, annotations={}, platform=None, data=b"", urls=())


_CONFIGS = (mediatype.OCI_CONFIG, mediatype.DOCKER_CONFIG)


def report_parts(doing: str, progress: Progress) -> Moving:
    """Make the callback that reports a step for each part, such as `copying layer sha256:…`."""

    def block(desc: Descriptor) -> AbstractContextManager[Callable[[int], None]]:
        kind = "config" if desc.media_type in _CONFIGS else "layer"
        return step(progress, f"{doing} {kind} {desc.digest}", desc.size)

    return block
