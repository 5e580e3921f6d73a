"""Archives as `docker save` wrote them before it wrote OCI image layouts: no manifest, no digests.

A manifest is made up for each image, so that its inline cache can be read as from anywhere else.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cachexport.content.verify import BLOCK
from cachexport.envelope.form import Form
from cachexport.envelope.manifest import encode_manifest
from cachexport.errors import InvalidDigest, NotFound, WireFormat
from cachexport.layer.codecs import MAGIC_SIZE, detect
from cachexport.oci import gojson, mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest
from cachexport.oci.index import IMAGE_NAME, REF_NAME, Index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.image.archive.tarfiles import Stretch, TarFile

Blobs = dict[Digest, "Stretch | bytes"]

_FIELDS = frozenset({"Config", "RepoTags", "Layers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """One item of manifest.json: names of files, and the image's names."""

    config: str
    repo_tags: tuple[str, ...]
    layers: tuple[str, ...]

    @classmethod
    def decode(cls, value: Any) -> Self:
        """Read the item from parsed JSON; WireFormat when it is none."""
        found = gojson.fields(value, _FIELDS, "")
        return cls(
            config=gojson.string(found.get("Config"), "Config"),
            repo_tags=_strings(found.get("RepoTags"), "RepoTags"),
            layers=_strings(found.get("Layers"), "Layers"),
        )


def read_docker_images(tar: TarFile) -> tuple[Index, Blobs]:
    """Give an index that names the images, and where the blobs are that it leads to.

    Raises WireFormat.
    """
    blobs: Blobs = {}
    entries: list[Descriptor] = []
    try:
        for image in gojson.each(
            gojson.loads(tar.read("manifest.json")), "manifest.json", SavedImage.decode
        ):
            manifest = _manifest(tar, image, blobs)
            blobs[Digest.of(manifest)] = manifest
            entries += _entries(Descriptor.of(manifest, mediatype.OCI_MANIFEST), image)
    except (NotFound, InvalidDigest) as error:
        # A file that manifest.json names but the archive lacks is damage, not an absent cache.
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
    fields = gojson.fields(gojson.loads(config), frozenset({"rootfs"}), "")
    rootfs = gojson.fields(fields.get("rootfs"), frozenset({"diff_ids"}), "rootfs")
    found = [Digest.parse(text) for text in _strings(rootfs.get("diff_ids"), "rootfs.diff_ids")]
    if len(found) != count:
        raise WireFormat(f"an image has {count} layers and {len(found)} diff IDs")
    return found


def _layer(tar: TarFile, stretch: Stretch, diff_id: Digest) -> Descriptor:
    """Describe a layer. Only a compressed one, as other programs write them, has to be hashed."""
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
