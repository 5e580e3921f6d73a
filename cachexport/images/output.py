"""What an image is written as: the attributes of `--output`, spelled as BuildKit does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes
from cachexport.content.layers.convert import convert_layer
from cachexport.content.parallel import map_parallel
from cachexport.content.progress import silent, step
from cachexport.contract.attributes import (
    attribute,
    boolean,
    flag,
    known_attributes,
    path,
    read_attributes,
)
from cachexport.contract.export import Compressing
from cachexport.contract.spec import Spec, parse_spec
from cachexport.errors import InvalidAttr, InvalidReference
from cachexport.images.image import image_layers, read_config
from cachexport.images.manifest import change_manifest
from cachexport.images.names import parse_name
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Ingester, Provider
    from cachexport.images.image import Image
    from cachexport.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to change when an image is written; None leaves it as it is."""

    compression: Compression | None = None
    """Of every layer."""
    level: int | None = None
    oci_mediatypes: bool | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """To add to the manifest."""

    def __bool__(self) -> bool:
        return self != Changes()


def convert_image(
    provider: Provider,
    image: Image,
    target: Ingester,
    changes: Changes,
    progress: Progress = silent,
) -> Descriptor:
    """Put the parts of an image that change into `target`, and give the descriptor of its manifest.

    The config stays as it is. Neither it nor layers that have this compression already are put
    there. Raises as `convert_layer` does, above all Integrity for a layer whose diff ID is not the
    config's.
    """
    layers = list(image_layers(image, read_config(provider, image)))
    compression = changes.compression
    if compression is not None:

        def convert(desc: Descriptor) -> Descriptor:
            with step(progress, f"converting layer {desc.digest} to {compression}", desc.size) as m:
                return convert_layer(provider, desc, target, compression, changes.level, m)

        other = {desc.digest: desc for desc in layers if _differs(desc, compression)}
        new = dict(zip(other, map_parallel(convert, other.values()), strict=True))
        layers = [new.get(desc.digest, desc) for desc in layers]
    manifest, raw = change_manifest(
        image.manifest,
        layers,
        oci_mediatypes=changes.oci_mediatypes,
        annotations=changes.annotations,
    )
    ingest_bytes(target, manifest, raw)
    return manifest


def _differs(desc: Descriptor, compression: Compression) -> bool:
    is_foreign = mediatype.is_foreign(desc.media_type)
    return not is_foreign and Compression.of(desc.media_type) is not compression


STDOUT = "-"
"""As `dest`: the standard output."""
_ANNOTATION = "annotation."


def _names(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(parse_name(name)) for name in text.split(",")) if text else ()
    except InvalidReference as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class Output(Compressing):
    """What every output has."""

    names: tuple[str, ...] = attribute(
        "name", _names, default=(), summary="the image's names, with commas between"
    )
    oci_mediatypes: bool | None = attribute(
        "oci-mediatypes",
        boolean,
        default=None,
        summary="use OCI's media types, or with false Docker's; as the image has it without it",
    )
    rewrite_timestamp: bool = attribute(
        "rewrite-timestamp",
        boolean,
        default=False,
        summary="let no file of a new layer be younger than SOURCE_DATE_EPOCH",
    )
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """To add to the manifest, from `annotation.<key>=<value>`."""
    rest: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Attributes of the registry that it is pushed to."""

    @property
    def changes(self) -> Changes:
        """The changes to an image that exists already."""
        forced = (self.compression or Compression.GZIP) if self.force_compression else None
        return Changes(
            compression=forced,
            level=self.compression_level if self.force_compression else None,
            oci_mediatypes=self.oci_mediatypes,
            annotations=self.annotations,
        )


@dataclass(frozen=True, kw_only=True)
class DockerOutput(Output):
    """An archive for `docker load`, which is an OCI layout too."""

    dest: str = attribute("dest", path, summary="the file to write, - for the standard output")
    tar: bool = attribute("tar", boolean, default=True, summary="has to be true")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tar:
            raise InvalidAttr("tar", "type=docker is an archive; for a directory use type=oci")


@dataclass(frozen=True, kw_only=True)
class OciOutput(Output):
    """An OCI image layout, as an archive or a directory."""

    dest: str = attribute(
        "dest", path, summary="the file or the directory to write, - for the standard output"
    )
    tar: bool = attribute(
        "tar", boolean, default=True, summary="false: write a directory, and add to what is there"
    )


@dataclass(frozen=True, kw_only=True)
class RegistryOutput(Output):
    """The registries of the names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.names:
            raise InvalidAttr("name", "type=registry needs name= (where to push the image)")


@dataclass(frozen=True, kw_only=True)
class StoreOutput(Output):
    """The store on this machine."""

    push: bool = attribute(
        "push", flag, default=False, summary="push it to the registries of its names too"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.push and not self.names:
            raise InvalidAttr("name", "push=true needs name= (where to push the image)")


KINDS: Mapping[str, type[Output]] = {
    "docker": DockerOutput,
    "oci": OciOutput,
    "registry": RegistryOutput,
    "store": StoreOutput,
    "image": StoreOutput,
}
"""By type; `image` is what BuildKit calls `store`."""


def parse_output(text: str | Spec, names: tuple[str, ...] = ()) -> Output:
    """Read an `--output`: `type=oci,dest=app.tar,name=app:1`; a bare word is a Docker archive.

    `names` are the image's where the text has none. Raises InvalidAttr.
    """
    if isinstance(text, str) and text and "=" not in text:
        spec = Spec("docker", MappingProxyType({"dest": text}))
    else:
        spec = parse_spec(text)
    kind = KINDS.get(spec.type)
    if kind is None:
        known = ", ".join(KINDS)
        raise InvalidAttr("type", f"no image can be written as type={spec.type} (known: {known})")
    attrs = dict(spec.attrs)
    notes = {key: attrs.pop(key) for key in spec.attrs if key.startswith(_ANNOTATION)}
    rest = _of_the_registry(kind, attrs)
    own = {key: text for key, text in attrs.items() if key not in rest}
    if names:
        own.setdefault("name", ",".join(names))
    return replace(
        read_attributes(kind, Spec(spec.type, own)),
        annotations={key.removeprefix(_ANNOTATION): text for key, text in notes.items()},
        rest=rest,
    )


def to_stdout(output: Output) -> bool:
    """Say whether the image goes to the standard output."""
    return isinstance(output, DockerOutput | OciOutput) and output.dest == STDOUT


def _of_the_registry(kind: type[Output], attrs: Mapping[str, str]) -> dict[str, str]:
    """Give the attributes that this output does not know; a registry that it pushes to may."""
    if kind is not RegistryOutput and not ("push" in attrs and kind is StoreOutput):
        return {}
    known = known_attributes(kind)
    return {key: text for key, text in attrs.items() if key not in known}
