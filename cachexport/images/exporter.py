"""Export the image that a build made to a store, as BuildKit's exporters do."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from cachexport.content.copy import ingest_bytes, move_missing
from cachexport.content.diff_ids import with_diff_ids
from cachexport.content.progress import silent, step
from cachexport.errors import InvalidInputError, NotFound
from cachexport.images.config.config import complete_config, empty_config
from cachexport.images.manifest import encode_image_manifest
from cachexport.images.names import parse_name
from cachexport.images.store.leases import DAY
from cachexport.model.chains import BlobSource
from cachexport.oci import gojson, mediatype
from cachexport.oci.descriptor import Descriptor, Platform
from cachexport.transfer.prepare import LayerProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cachexport.content.progress import Progress
    from cachexport.images.store import Lease, Store, StoreContent
    from cachexport.model.chains import Remote
    from cachexport.oci.digest import Digest

    Exported = Callable[[str, Descriptor], object]
    InlineCache = Callable[[Sequence[Digest]], bytes | None]


CONFIG_KEY = "containerimage.config"
"""Metadata key of the image's config. For an image in `refs`, a slash and its ID follow."""
PLATFORMS_KEY = "refs.platforms"
"""Metadata key of the JSON that lists the ID and platform of each image in `refs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """One image in `ref`, or images by ID in `refs`. None stands for an image without layers."""

    ref: Remote | None = None
    refs: Mapping[str, Remote | None] = field(default_factory=dict, hash=False)
    metadata: Mapping[str, bytes] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The one image of a result."""

    layers: Remote | None
    config: bytes
    """Empty where the build gave none."""
    platform: Platform | None
    """None where the build did not say."""


def choose(result: BuildResult) -> Chosen:
    """Give the one image of a result. Raises InvalidInputError if it has several."""
    if result.ref is not None and result.refs:
        raise InvalidInputError("a build gives either one ref or a map of refs, not both")
    if len(result.refs) > 1:
        ids = ", ".join(sorted(result.refs))
        raise InvalidInputError(f"only one image can be exported to a store at once, not {ids}")
    if not result.refs:
        config = result.metadata.get(CONFIG_KEY, b"")
        return Chosen(layers=result.ref, config=config, platform=None)
    [layers] = result.refs.values()
    name, platform = _platform(result)
    config = result.metadata.get(f"{CONFIG_KEY}/{name}", b"")
    return Chosen(layers=layers, config=config, platform=platform)


def _platform(result: BuildResult) -> tuple[str, Platform]:
    raw = result.metadata.get(PLATFORMS_KEY)
    if raw is None:
        raise InvalidInputError(f"refs have no platforms: {PLATFORMS_KEY} is not in the metadata")
    found = gojson.fields(gojson.loads(raw), frozenset({"Platforms"}), "").get("Platforms")
    platforms = gojson.each(found, "Platforms", _named_platform)
    if len(platforms) != len(result.refs):
        raise InvalidInputError(
            f"{len(result.refs)} refs, but {len(platforms)} platforms in {PLATFORMS_KEY}"
        )
    return platforms[0]


def _named_platform(value: Any) -> tuple[str, Platform]:
    found = gojson.fields(value, frozenset({"ID", "Platform"}), "")
    return gojson.string(found.get("ID"), "ID"), Platform.decode(found.get("Platform") or {})


CONFIG_DIGEST_KEY = "containerimage.config.digest"
DIGEST_KEY = "containerimage.digest"
NAME_KEY = "image.name"
_NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedImage:
    """An image in a store. Its lease keeps it until `release` or the end of a `with` block."""

    response: Mapping[str, str]
    """The digests: `containerimage.config.digest`, and the manifest's as `containerimage.digest`.

    If the image has names, `image.name` has them, separated by commas.
    """
    descriptor: Descriptor
    """The descriptor of the config."""
    manifest: Descriptor
    store: Store
    lease: Lease

    def release(self) -> None:
        """Release the lease; may be called twice."""
        with suppress(NotFound):
            self.store.leases.delete(self.lease.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class ImageExporter:
    """Exports images to `store`. The attribute `name` is a list of references, comma-separated.

    All other attributes are added to the build's metadata, and replace what has the same key there.
    `platform` is used if the build names none. For each image `exported` is called with the digest
    of its manifest, which identifies it, and the descriptor of its config.

    Raises InvalidReference for a bad name.
    """

    def __init__(
        self,
        store: Store,
        attrs: Mapping[str, str],
        *,
        platform: Platform,
        exported: Exported | None = None,
    ) -> None:
        names = attrs.get(_NAME, "")
        self.names = tuple(dict.fromkeys(map(parse_name, names.split(",")))) if names else ()
        """The references, with registry and tag: `app` is `docker.io/library/app:latest`."""
        self.metadata = {key: text.encode() for key, text in attrs.items() if key != _NAME}
        self._store = store
        self._platform = platform
        self._exported = exported

    def export(
        self,
        result: BuildResult,
        *,
        inline_cache: InlineCache | None = None,
        progress: Progress = silent,
    ) -> ExportedImage:
        """Put the image into the store and name it. The caller releases the ExportedImage.

        `inline_cache` is called with the digests of the layers. It gives the cache records to embed
        in the image, or None for none; see `encode_inline`. Layers that the store does not have are
        copied from their providers. The same result always gives the same bytes. Raises
        InvalidInputError for a result that is not one image, WireFormat for a damaged config, and
        NotFound, Integrity or TransferError for layers that cannot be copied. After an error the
        lease is deleted, so that garbage collection removes what was written.
        """
        chosen = choose(
            BuildResult(
                ref=result.ref, refs=result.refs, metadata={**result.metadata, **self.metadata}
            )
        )
        with self._leased() as lease:
            content = self._store.content.under(lease)
            layers = _export_layers(chosen.layers, content, progress)
            config = self._complete(chosen, layers, inline_cache)
            desc = Descriptor.of(config, mediatype.OCI_CONFIG)
            with step(progress, f"writing image {desc.digest}"):
                manifest = _write(content, desc, config, layers)
            for name in self.names:
                with step(progress, f"naming to {name}"):
                    self._store.images.put(str(name), manifest)
            if self._exported is not None:
                self._exported(str(manifest.digest), desc)
            return ExportedImage(
                response=self._response(desc, manifest),
                descriptor=desc,
                manifest=manifest,
                store=self._store,
                lease=lease,
            )

    @contextmanager
    def _leased(self) -> Iterator[Lease]:
        """Take a lease. It stays after the block, unless the block fails: then it is deleted."""
        lease = self._store.leases.create(seconds=DAY)
        try:
            yield lease
        except BaseException:
            with suppress(NotFound):
                self._store.leases.delete(lease.id)
            raise

    def _complete(
        self, chosen: Chosen, layers: Sequence[Descriptor], inline_cache: InlineCache | None
    ) -> bytes:
        platform = chosen.platform or self._platform
        config = chosen.config or empty_config(platform.architecture, platform.os, platform.variant)
        records = None
        if inline_cache is not None:
            records = inline_cache([layer.digest for layer in layers])
        return complete_config(config, layers, records)

    def _response(self, config: Descriptor, manifest: Descriptor) -> dict[str, str]:
        response = {CONFIG_DIGEST_KEY: str(config.digest), DIGEST_KEY: str(manifest.digest)}
        if self.names:
            response[NAME_KEY] = ",".join(map(str, self.names))
        return response


def _export_layers(
    remote: Remote | None, content: StoreContent, progress: Progress
) -> tuple[Descriptor, ...]:
    """Copy the layers that the store does not have. Gives all layers, each with its diff ID."""
    if remote is None:
        return ()
    sources = {
        layer.descriptor.digest: BlobSource(layer.descriptor, layer.provider)
        for layer in remote.down()
    }
    total = sum(source.descriptor.size for source in sources.values())
    with step(progress, "exporting layers", total) as moved:
        moving = nullcontext(_one_at_a_time(moved))
        found = remote.descriptors
        move_missing(LayerProvider(sources), content, found, lambda _: moving)
        described = with_diff_ids(found, content)
    return tuple(described[desc.digest] for desc in found)


def _one_at_a_time(moved: Callable[[int], None]) -> Callable[[int], None]:
    guard = threading.Lock()

    def guarded(count: int) -> None:
        with guard:
            moved(count)

    return guarded


def _write(
    content: StoreContent, desc: Descriptor, config: bytes, layers: Sequence[Descriptor]
) -> Descriptor:
    manifest, raw = encode_image_manifest(config, layers)
    ingest_bytes(content, desc, config)
    ingest_bytes(content, manifest, raw)
    return manifest
