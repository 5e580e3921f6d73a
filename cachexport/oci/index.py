"""index.json: what names the caches and images of a layout, as BuildKit's client keeps it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from cachexport.errors import NotFound, WireFormat
from cachexport.oci import gojson, mediatype
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

METADATA_LIMIT = 64 << 20
"""Bytes of index.json and its like that are read into memory."""

IMAGE_NAME = "io.containerd.image.name"
"""Annotation: the whole name of an image."""
REF_NAME = "org.opencontainers.image.ref.name"
"""Annotation: a tag."""

_FIELDS = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The content of index.json, in the order of the wire format.

    It has the fields that BuildKit keeps when it writes the file anew; it drops others.
    """

    schema_version: int = 2
    media_type: str = mediatype.OCI_INDEX
    artifact_type: str = ""
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def encode(self) -> bytes:
        """Give the bytes that BuildKit's client writes."""
        members = [f'"schemaVersion":{self.schema_version}']
        members.append(f'"mediaType":{gojson.quote(self.media_type)}')
        if self.artifact_type:
            members.append(f'"artifactType":{gojson.quote(self.artifact_type)}')
        entries = ",".join(entry.encode() for entry in self.manifests)
        members.append(f'"manifests":[{entries}]')
        if self.subject is not None:
            members.append(f'"subject":{self.subject.encode()}')
        if self.annotations:
            members.append(f'"annotations":{gojson.quote_map(self.annotations)}')
        return ("{" + ",".join(members) + "}").encode()

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the file; WireFormat when it is none."""
        found = gojson.fields(gojson.loads(raw), _FIELDS, "")
        version = gojson.integer(found.get("schemaVersion"), "schemaVersion")
        media_type = gojson.string(found.get("mediaType"), "mediaType")
        return cls(
            schema_version=version or 2,
            media_type=media_type or mediatype.OCI_INDEX,
            artifact_type=gojson.string(found.get("artifactType"), "artifactType"),
            manifests=tuple(gojson.each(found.get("manifests"), "manifests", Descriptor.decode)),
            subject=_decode_subject(found.get("subject")),
            annotations=gojson.string_map(found.get("annotations"), "annotations"),
        )

    def names(self) -> tuple[str, ...]:
        """Give the entries' names, each once, in their order: image names, else tags."""
        return tuple(dict.fromkeys(name for name in map(_name, self.manifests) if name))

    def named(self, name: str) -> tuple[Descriptor, ...]:
        """Give the entries that `names` lists as `name`: more than one if they share it."""
        return tuple(entry for entry in self.manifests if _name(entry) == name)

    def by_name(self) -> dict[str, tuple[Descriptor, ...]]:
        """Give what `named` gives, for all names."""
        found: dict[str, list[Descriptor]] = {}
        for entry in self.manifests:
            found.setdefault(_name(entry), []).append(entry)
        return {name: tuple(entries) for name, entries in found.items() if name}

    def unnamed(self) -> tuple[Descriptor, ...]:
        """Give the entries that have no name at all."""
        return tuple(entry for entry in self.manifests if not _name(entry))

    def find(self, name: str) -> Descriptor | None:
        """Find an entry as BuildKit does: by image name, then by tag; the first counts."""
        for annotation in (IMAGE_NAME, REF_NAME):
            for entry in self.manifests:
                if entry.annotations.get(annotation) == name:
                    return entry
        return None

    def with_tag(self, tag: str, desc: Descriptor) -> Self:
        """Add an entry at the end, in place of those with the same tag and no image name.

        An index that has just this entry already is given back as it is.
        """
        entry = dataclasses.replace(desc, annotations={**desc.annotations, REF_NAME: tag})
        same = [old for old in self.manifests if _has_tag(old, tag)]
        if same == [entry]:
            return self
        others = (old for old in self.manifests if not _has_tag(old, tag))
        return dataclasses.replace(self, manifests=(*others, entry))

    def with_images(self, entries: Sequence[Descriptor]) -> Self:
        """Add entries of images at the end, in place of those with the same image names.

        One without a name is added unless there is the same already.
        """
        named = {entry.annotations[IMAGE_NAME] for entry in entries if _name(entry)}
        others = tuple(
            old
            for old in self.manifests
            if old.annotations.get(IMAGE_NAME) not in named and old not in entries
        )
        return dataclasses.replace(self, manifests=(*others, *entries))

    def without(self, name: str) -> Self:
        """Leave out the entries that `names` lists as `name`. Raises NotFound without one."""
        found = self.without_all({name})
        if len(found.manifests) == len(self.manifests):
            raise NotFound(f"there is no entry {name!r} ({self.known()})")
        return found

    def without_all(self, names: Collection[str]) -> Self:
        """Leave out the entries that `names` lists under any of these names."""
        kept = tuple(entry for entry in self.manifests if _name(entry) not in names)
        return dataclasses.replace(self, manifests=kept)

    def known(self) -> str:
        """Say for a message which names there are."""
        names = self.names()
        return f"there is {', '.join(names)}" if names else "nothing has a name there"


def version(named: Iterable[Descriptor]) -> str:
    """Tell what a name that has these entries stands for; empty when that is nothing."""
    return " ".join(entry.digest for entry in named)


def _name(entry: Descriptor) -> str:
    return entry.annotations.get(IMAGE_NAME) or entry.annotations.get(REF_NAME, "")


def _has_tag(entry: Descriptor, tag: str) -> bool:
    return entry.annotations.get(REF_NAME) == tag and not entry.annotations.get(IMAGE_NAME)


def _decode_subject(value: Any) -> Descriptor | None:
    try:
        return None if value is None else Descriptor.decode(value)
    except WireFormat as error:
        raise error.under("subject") from None
