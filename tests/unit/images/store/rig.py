"""What the tests of the store share: a clock to turn, stores, and a small image to put in."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes
from cachexport.images.store import Store
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.images.store import StoreContent

BEGIN = 1_800_000_000.0


@dataclass
class Clock:
    """A clock that stands still until it is turned."""

    now: float = BEGIN

    def __call__(self) -> float:
        return self.now


def opened(directory: Path, clock: Clock | None = None, timeout: float = 30.0) -> Store:
    return Store.open(directory, clock=clock or Clock(), timeout=timeout)


def described(raw: bytes, media_type: str = "text/plain") -> Descriptor:
    return Descriptor.of(raw, media_type)


def put(content: StoreContent, raw: bytes, media_type: str = "text/plain") -> Descriptor:
    desc = described(raw, media_type)
    ingest_bytes(content, desc, raw)
    return desc


def read(content: StoreContent, desc: Descriptor) -> bytes:
    reader = content.open(desc)
    try:
        return b"".join(iter(lambda: reader.read(3), b""))
    finally:
        reader.close()


def manifest_of(config: Descriptor, *layers: Descriptor) -> bytes:
    value = {
        "schemaVersion": 2,
        "config": json.loads(config.encode()),
        "layers": [json.loads(layer.encode()) for layer in layers],
    }
    return json.dumps(value).encode()


def index_of(*manifests: Descriptor) -> bytes:
    parts = ",".join(desc.encode() for desc in manifests)
    return f'{{"schemaVersion":2,"manifests":[{parts}]}}'.encode()


@dataclass(frozen=True)
class SmallImage:
    """An image of one config and two layers, as it was put in."""

    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def all(self) -> list[Descriptor]:
        return [self.manifest, self.config, *self.layers]


def put_image(content: StoreContent, number: int = 0) -> SmallImage:
    config = put(content, b'{"number":%d}' % number, "application/vnd.oci.image.config.v1+json")
    layers = tuple(
        put(content, b"layer %d" % layer, mediatype.OCI_LAYER) for layer in (number, number + 1)
    )
    manifest = put(content, manifest_of(config, *layers), mediatype.OCI_MANIFEST)
    return SmallImage(manifest, config, layers)


def stream(raw: bytes) -> io.BytesIO:
    return io.BytesIO(raw)
