"""Images in registries, archives and stores."""

from __future__ import annotations

from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.content.progress import silent, step
from cachexport.contract.discovery import find_backend
from cachexport.contract.images import ImageBackend, ImageSource
from cachexport.contract.opening import (
    open_source,
)
from cachexport.contract.spec import Spec, parse_spec
from cachexport.errors import InvalidInputError, NotFound, PluginError
from cachexport.images import distribution
from cachexport.images.additions import Base, append_layers
from cachexport.images.archive.read import open_docker_archive
from cachexport.images.config.config import empty_config
from cachexport.images.config.settings import Settings
from cachexport.images.distribution import StorePuller, copy_image, pull_named
from cachexport.images.image import OpenedImage, read_config, select_image
from cachexport.images.names import DANGLING
from cachexport.images.output import (
    STDOUT,
    DockerOutput,
    OciOutput,
    Output,
    StoreOutput,
    convert_image,
    parse_output,
)
from cachexport.images.parts import FallbackProvider
from cachexport.images.store.leases import DAY
from cachexport.images.stored import completed, find_stored, open_stored, workspace
from cachexport.oci.compression import Compression
from cachexport.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Provider
    from cachexport.contract.images import ImageTarget
    from cachexport.images.additions import Addition
    from cachexport.images.archive.write import Sink
    from cachexport.images.distribution import Puller
    from cachexport.images.store import NamedImage, Store, StoreContent
    from cachexport.oci.descriptor import Descriptor, Platform
    from cachexport.oci.timestamp import Timestamp


def open_image(image: str | Spec) -> OpenedImage:
    """Find an image without reading its layers; they are read when they are needed.

    `image` is a reference, such as `alpine:3.20`, or a specification, such as
    `type=local,src=image.tar`. `cachexport.images` has what looks into it: `select_image`,
    `read_config`. Raises NotFound when there is no such name, PluginError for a type without
    images. The caller closes.
    """
    source = _image_source(parse_spec(image))
    try:
        return OpenedImage(source.provider, source.resolve(), source.close)
    except BaseException:
        source.close()
        raise


def open_any(store: Store, text: str) -> tuple[OpenedImage, str]:
    """Open an image of the store, in an archive, or where a reference or specification says.

    They are tried in that order, and an archive has to have one image. Gives its name, too, empty
    where it has none. Raises as `open_image` does.
    """
    try:
        image = find_stored(store, text)
    except NotFound:
        pass
    else:
        return open_stored(store, image), image.name
    if "=" not in text and Path(text).is_file():
        return _in_archive(text)
    return open_image(text), "" if "=" in text else completed(text)


def _in_archive(path: str) -> tuple[OpenedImage, str]:
    archive = open_docker_archive(path)
    if len(archive.images) != 1:
        archive.close()
        raise InvalidInputError(f"{path} has {len(archive.images)} images; load it and name one")
    [found] = archive.images
    return OpenedImage(archive, found.descriptor, archive.close), next(iter(found.names), "")


def image_puller(
    store: Store, attrs: Mapping[str, str] | None = None, *, progress: Progress = silent
) -> Puller:
    """Make a puller of images from registries into a store.

    `attrs` are those of `type=registry` that say how to reach it, such as `registry.insecure`.
    """
    return StorePuller(store, partial(_in_registry, attrs or {}), progress)


def pull_image(
    image: str | Spec,
    store: Store,
    *,
    name: str | None = None,
    platform: Platform | None = None,
    progress: Progress = silent,
) -> NamedImage:
    """Copy an image into a store and name it there, by default as its reference does.

    That is the image for `platform`, or without one all that an index names. Blobs that the store
    has are not fetched again. Raises as `open_image` does, InvalidInputError for an image that is
    not in a registry and gets no name, FailedPrecondition for other content.
    """
    spec = parse_spec(image)
    named = name or _own_name(spec)
    source = _image_source(spec)
    with (
        closing(source),
        store.leases.held(seconds=DAY) as lease,
        step(progress, f"pulling image {named}"),
    ):
        return pull_named(
            source, store, named, platform=platform, lease=lease.id, progress=progress
        )


def push_image(
    image: OpenedImage,
    to: str | Spec,
    *,
    platform: Platform | None = None,
    progress: Progress = silent,
) -> Descriptor:
    """Copy an image to a registry under the reference that `to` names.

    `to` may be a specification with the attributes of `type=registry`, as for a build cache. Raises
    as `cachexport.images.distribution.push_image` does, PluginError for a type without images.
    """
    with closing(open_image_target(to)) as target, step(progress, f"copying image to {target}"):
        return distribution.push_image(
            image.provider, image.descriptor, target, platform=platform, progress=progress
        )


def open_image_target(to: str | Spec) -> ImageTarget:
    """Open the target of a push; the caller closes. Raises PluginError as `open_image` does."""
    spec = parse_spec(to)
    backend = find_backend(spec.type)
    if not isinstance(backend, ImageBackend):
        raise PluginError(f"type={spec.type} takes build caches, but no images")
    return backend.image_target(spec)


def _image_source(spec: Spec) -> ImageSource:
    source = open_source(spec)
    if not isinstance(source, ImageSource):
        source.close()
        raise PluginError(f"type={spec.type} has build caches, but no images")
    return source


def _in_registry(attrs: Mapping[str, str], reference: Reference) -> ImageSource:
    return _image_source(Spec("registry", {**attrs, "ref": str(reference)}))


def _own_name(spec: Spec) -> str:
    if "ref" not in spec.attrs:
        raise InvalidInputError(f"{spec} has no reference; say what to name the image")
    return str(Reference.parse(spec.attrs["ref"]))


def output_image(
    output: str | Output,
    image: OpenedImage,
    *,
    names: Sequence[str] = (),
    platform: Platform | None = None,
    store: Store | None = None,
    stdout: Sink | None = None,
    progress: Progress = silent,
) -> Descriptor:
    """Write an image as `output` says, and give the descriptor of the manifest written.

    `names` are used for an output without names. Of an index the image for `platform` is written; a
    whole index goes to a registry, a store or a layout, not into a Docker archive. `type=store`
    writes to `store`, and `dest=-` to `stdout`. `rewrite-timestamp` only counts for new layers.

    A bad output raises before anything is read. Raises as writing to its destination does.
    """
    if isinstance(output, str):
        output = parse_output(output, tuple(names))
    with ExitStack() as stack:
        stack.enter_context(step(progress, f"exporting image {image.descriptor.digest}"))
        if output.changes:
            its_store = store if isinstance(output, StoreOutput) else None
            content = stack.enter_context(workspace(its_store))
            image = _converted(image, output, platform, content, progress)
            platform = None
        return _write(output, image, platform, store, stdout, progress)


def _converted(
    image: OpenedImage,
    output: Output,
    platform: Platform | None,
    content: StoreContent,
    progress: Progress,
) -> OpenedImage:
    found = select_image(image.provider, image.descriptor, platform)
    manifest = convert_image(image.provider, found, content, output.changes, progress)
    return OpenedImage(FallbackProvider(content, image.provider), manifest, image.close)


def _write(
    output: Output,
    image: OpenedImage,
    platform: Platform | None,
    store: Store | None,
    stdout: Sink | None,
    progress: Progress,
) -> Descriptor:
    if isinstance(output, DockerOutput) or (isinstance(output, OciOutput) and output.tar):
        with step(progress, f"writing {output.dest}"):
            return _write_archive(output, image, platform, stdout)
    if isinstance(output, StoreOutput):
        written = _keep(output, image, platform, store, progress)
        if not output.push:
            return written
    for to in _destinations(output):
        written = push_image(image, to, platform=platform, progress=progress)
    return written


def _write_archive(
    output: DockerOutput | OciOutput,
    image: OpenedImage,
    platform: Platform | None,
    stdout: Sink | None,
) -> Descriptor:
    from cachexport import images

    is_docker = isinstance(output, DockerOutput)
    source = image.provider, image.descriptor
    if output.dest == STDOUT:
        write = images.write_docker_archive if is_docker else images.write_oci_archive
        return write(_given(stdout), *source, names=output.names, platform=platform)
    save = images.save_docker_archive if is_docker else images.save_oci_archive
    return save(output.dest, *source, names=output.names, platform=platform)


def _given(stdout: Sink | None) -> Sink:
    if stdout is None:
        raise InvalidInputError(f"dest={STDOUT} is the standard output, which was not given")
    return stdout


def _keep(
    output: StoreOutput,
    image: OpenedImage,
    platform: Platform | None,
    store: Store | None,
    progress: Progress,
) -> Descriptor:
    if store is None:
        raise InvalidInputError("no store was given to write the image to")
    with store.leases.held(seconds=DAY) as lease:
        content = store.content.under(lease)
        copied = copy_image(
            image.provider, image.descriptor, content, platform=platform, progress=progress
        )
        for name in output.names or (DANGLING + copied.digest,):
            with step(progress, f"naming to {name}"):
                store.images.put(name, copied)
    return copied


def _destinations(output: Output) -> list[Spec]:
    """Give where an image is to be pushed."""
    if isinstance(output, OciOutput):
        names = {"name": ",".join(output.names)} if output.names else {}
        return [Spec("local", {"dest": output.dest, **names})]
    return [Spec("registry", {"ref": name, **output.rest}) for name in output.names]


def append_image(
    base: OpenedImage | None,
    additions: Sequence[Addition],
    output: Output,
    *,
    settings: Settings | None = None,
    platform: Platform | None = None,
    created: Timestamp | None = None,
    store: Store | None = None,
    stdout: Sink | None = None,
    progress: Progress = silent,
) -> Descriptor:
    """Put layers on top of an image, and write the result as `output` says; see `append_layers`.

    Without a base the image has only these layers, and is for `platform`; of an index the image for
    `platform` is the base. The layers of the base are read only if the output needs them.
    """
    with (
        workspace(store if isinstance(output, StoreOutput) else None) as content,
        step(progress, "extending image"),
    ):
        start, provider = _base(base, content, platform)
        made = append_layers(
            start,
            additions,
            settings or Settings(),
            content,
            created=created,
            compression=output.compression or Compression.GZIP,
            level=output.compression_level,
            progress=progress,
        )
        image = OpenedImage(provider, made, close=lambda: None)
        return output_image(output, image, store=store, stdout=stdout, progress=progress)


def _base(
    base: OpenedImage | None, content: StoreContent, platform: Platform | None
) -> tuple[Base, Provider]:
    if base is not None:
        found = select_image(base.provider, base.descriptor, platform)
        start = Base.of(found, read_config(base.provider, found))
        return start, FallbackProvider(content, base.provider)
    if platform is None:
        raise InvalidInputError("an image without a base is for no platform yet; say for which")
    config = empty_config(platform.architecture, platform.os, platform.variant)
    return Base(config=config), content
