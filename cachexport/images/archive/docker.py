"""manifest.json, in which Docker lists the images of an archive.

Older versions of `docker save` wrote no manifests and no digests. For such archives a manifest is
made for each image here, so that it can be read like any other.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cachexport.content.layers.codecs import MAGIC_SIZE, detect
from cachexport.content.verify import BLOCK
from cachexport.errors import InvalidDigest, NotFound, WireFormat
from cachexport.images.config.config import read_diff_ids
from cachexport.model.envelope.manifest import (
    Form,
    encode_manifest,
)
from cachexport.oci import gojson, mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest
from cachexport.oci.index import IMAGE_NAME, REF_NAME, Index
from cachexport.oci.layout import blob_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.images.archive.tarfiles import Stretch, TarFile
    from cachexport.images.image import Image

DOCKER_MANIFEST_FILE = "manifest.json"
MANIFEST_MODE = 0o444
"""The permissions of manifest.json. BuildKit's own archives have 0644."""
Blobs = dict[Digest, "Stretch | bytes"]

_FIELDS = frozenset({"Config", "RepoTags", "Layers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """One item of manifest.json: names of files, and the image's names."""

    config: str
    repo_tags: tuple[str, ...]
    layers: tuple[str, ...]

    @classmethod
    def of(cls, image: Image, repo_tags: Sequence[str]) -> Self:
        """Describe an image in an archive that is a layout too."""
        layers = tuple(blob_path(layer.digest) for layer in image.layers)
        config = blob_path(image.config.digest)
        return cls(config=config, repo_tags=tuple(repo_tags), layers=layers)

    def encode(self) -> str:
        """Give the item's JSON as Go writes it; no names are `null`."""
        tags = f"[{','.join(map(gojson.quote, self.repo_tags))}]" if self.repo_tags else "null"
        layers = ",".join(map(gojson.quote, self.layers))
        return f'{{"Config":{gojson.quote(self.config)},"RepoTags":{tags},"Layers":[{layers}]}}'

    @classmethod
    def decode(cls, value: Any) -> Self:
        """Read the item from parsed JSON; WireFormat when it is none."""
        found = gojson.fields(value, _FIELDS, "")
        return cls(
            config=gojson.string(found.get("Config"), "Config"),
            repo_tags=_strings(found.get("RepoTags"), "RepoTags"),
            layers=_strings(found.get("Layers"), "Layers"),
        )


def read_saved_images(tar: TarFile) -> list[SavedImage]:
    """Give the items of manifest.json. Raises NotFound without one, and WireFormat."""
    value = gojson.loads(tar.read(DOCKER_MANIFEST_FILE))
    return gojson.each(value, DOCKER_MANIFEST_FILE, SavedImage.decode)


def read_docker_images(tar: TarFile) -> tuple[Index, Blobs]:
    """Make an index that names the images, and say where its blobs are.

    Raises WireFormat.
    """
    blobs: Blobs = {}
    entries: list[Descriptor] = []
    try:
        for image in read_saved_images(tar):
            manifest = _manifest(tar, image, blobs)
            blobs[Digest.of(manifest)] = manifest
            entries += _entries(Descriptor.of(manifest, mediatype.OCI_MANIFEST), image)
    except (NotFound, InvalidDigest) as error:
        # manifest.json names a file that is not there: the archive is damaged, not absent.
        raise WireFormat(str(error)) from error
    return Index(manifests=tuple(entries)), blobs


def _manifest(tar: TarFile, image: SavedImage, blobs: Blobs) -> bytes:
    raw = tar.read(image.config)
    config = Descriptor.of(raw, mediatype.OCI_CONFIG)
    blobs[config.digest] = raw
    layers = []
    for name, diff_id in zip(image.layers, _diff_ids(raw, len(image.layers)), strict=True):
        stretch = tar.find(name)
        layers.append(_layer(tar, stretch, diff_id))
        blobs[layers[-1].digest] = stretch
    return encode_manifest(Form.IMAGE_MANIFEST, layers, config)


def _diff_ids(config: bytes, count: int) -> list[Digest]:
    found = [Digest.parse(text) for text in read_diff_ids(config)]
    if len(found) != count:
        raise WireFormat(f"an image has {count} layers and {len(found)} diff IDs")
    return found


def _layer(tar: TarFile, stretch: Stretch, diff_id: Digest) -> Descriptor:
    """Describe a layer. Only compressed layers, which other programs write, have to be hashed."""
    with closing(tar.open(stretch)) as reader:
        compression = detect(reader.read(MAGIC_SIZE))
    plain = compression is Compression.UNCOMPRESSED
    return Descriptor(
        media_type=compression.media_type,
        digest=diff_id if plain else _digest(tar, stretch),
        size=stretch.size,
        annotations={UNCOMPRESSED: diff_id},
    )


def _digest(tar: TarFile, stretch: Stretch) -> Digest:
    hasher = hashlib.sha256()
    with closing(tar.open(stretch)) as reader:
        for block in iter(lambda: reader.read(BLOCK), b""):
            hasher.update(block)
    return Digest.from_hasher(hasher)


def _entries(desc: Descriptor, image: SavedImage) -> Iterator[Descriptor]:
    if not image.repo_tags:
        yield desc
    for name in image.repo_tags:
        annotations = {IMAGE_NAME: name, REF_NAME: name.rpartition(":")[2]}
        yield Descriptor(
            media_type=desc.media_type,
            digest=desc.digest,
            size=desc.size,
            annotations=annotations,
        )


def _strings(value: Any, path: str) -> tuple[str, ...]:
    return tuple(gojson.string(item, path) for item in gojson.array(value, path))
