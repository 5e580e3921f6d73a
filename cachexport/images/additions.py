"""Layers added on top of an image, without unpacking it."""

from __future__ import annotations

import dataclasses
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes
from cachexport.content.files.blobs import (
    BlobReader,
    open_regular,
)
from cachexport.content.layers.blocks import BlockReader, read_full
from cachexport.content.layers.codecs import MAGIC_SIZE, decompress, detect
from cachexport.content.layers.convert import store_layer
from cachexport.content.progress import silent, step
from cachexport.content.verify import BLOCK
from cachexport.errors import InvalidInputError
from cachexport.images.builder import Copying, copy_layer
from cachexport.images.config.config import extend_config
from cachexport.images.config.history import HistoryEntry
from cachexport.images.config.settings import change_settings
from cachexport.images.image import image_layers
from cachexport.images.manifest import encode_image_manifest
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Ingester, Reader
    from cachexport.images.config.settings import Settings
    from cachexport.images.image import Image
    from cachexport.oci.timestamp import Timestamp


_COMMENT = "cachexport"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """The source of a layer: files and their destination, or an archive that is a layer."""

    source: Path
    destination: str | None = None
    """None: a directory goes to the root, and a file has to be the archive of a layer."""

    @classmethod
    def parse(cls, text: str) -> Addition:
        """Read `PATH` or `PATH:DESTINATION`, where the destination begins with a slash.

        Raises InvalidInputError.
        """
        source, colon, destination = text.rpartition(":/")
        if not colon:
            source, destination = text, ""
        if not source:
            raise InvalidInputError(f"{text!r} names no file or directory for a layer")
        return cls(source=Path(source), destination="/" + destination if colon else None)

    def __str__(self) -> str:
        # Only its name: the path differs from machine to machine.
        name, where = self.source.name or self.source, self.destination or "/"
        return f"ADD {name}" if self._is_archive else f"COPY {name} {where}"

    @property
    def _is_archive(self) -> bool:
        return self.destination is None and not self.source.is_dir()

    def store(self, target: Ingester, compression: Compression, level: int | None) -> Descriptor:
        """Put the layer into `target`, and give its descriptor.

        Raises InvalidInputError for a file that is no archive, else as `copy_layer` does.
        """
        if self._is_archive:
            return _store_archive(self.source, target, compression, level)
        copying = Copying(source=self.source, destination=self.destination or "/")
        return copy_layer(target, copying, compression=compression, level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The image that new layers go on top of."""

    config: bytes
    layers: Sequence[Descriptor] = ()
    """Each with its diff ID."""
    oci_mediatypes: bool = True

    @classmethod
    def of(cls, image: Image, config: bytes) -> Base:
        """Describe an image with its config. Raises WireFormat where the two do not match."""
        is_oci = image.manifest.media_type == mediatype.OCI_MANIFEST
        layers = image_layers(image, config)
        return cls(config=config, layers=layers, oci_mediatypes=is_oci)


def append_layers(
    base: Base,
    additions: Sequence[Addition],
    settings: Settings,
    target: Ingester,
    *,
    created: Timestamp | None = None,
    compression: Compression = Compression.GZIP,
    level: int | None = None,
    progress: Progress = silent,
) -> Descriptor:
    """Put new layers, config and manifest into `target`, and give the manifest's descriptor.

    The layers of the base are not put there. `created` is the time of the new layers in the
    history. The same base and files give the same bytes: files belong to root and have no time,
    except for those in archives. Raises as `Addition.store` does.
    """
    new = []
    for addition in additions:
        with step(progress, f"making a layer: {addition}"):
            new.append(addition.store(target, compression, level))
    entries = [_entry(str(addition), created) for addition in additions]
    if changed := str(settings):
        entries.append(dataclasses.replace(_entry(changed, created), empty_layer=True))
    layers = [*base.layers, *new]
    config = change_settings(base.config, settings) if str(settings) else base.config
    config = extend_config(config, base.layers, layers, entries)
    manifest, raw = encode_image_manifest(config, layers, oci_mediatypes=base.oci_mediatypes)
    config_type = mediatype.OCI_CONFIG if base.oci_mediatypes else mediatype.DOCKER_CONFIG
    with step(progress, f"writing image {manifest.digest}"):
        ingest_bytes(target, Descriptor.of(config, config_type), config)
        ingest_bytes(target, manifest, raw)
    return manifest


def _entry(created_by: str, created: Timestamp | None) -> HistoryEntry:
    return HistoryEntry(created=created, created_by=created_by, comment=_COMMENT)


def _store_archive(
    path: Path, target: Ingester, compression: Compression, level: int | None
) -> Descriptor:
    fd, size = open_regular(path)
    with closing(BlobReader(fd, path, size=size)) as file:
        head = read_full(file, MAGIC_SIZE)
        whole = BlockReader(_after(head, file), file)
        plain = decompress(whole, detect(head), str(path))
        first = read_full(plain, tarfile.BLOCKSIZE)
        _check_is_archive(first, path)
        return store_layer(BlockReader(_after(first, plain), plain), target, compression, level)


def _after(head: bytes, rest: Reader) -> Iterator[bytes]:
    yield head
    yield from iter(lambda: rest.read(BLOCK), b"")


def _check_is_archive(first: bytes, path: Path) -> None:
    if first == bytes(tarfile.BLOCKSIZE):
        return  # an archive of nothing
    try:
        tarfile.TarInfo.frombuf(first, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise InvalidInputError(
            f"{path} is no tar archive, so no layer ({error}); "
            f"to copy it say where to, as in {path}:/app/"
        ) from error
