"""Writing images to what `--output` names: archives, layouts, registries, a store."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.api.images import OpenedImage, push_image
from cachexport.content.files.errors import translated
from cachexport.content.progress import silent, step
from cachexport.contract.spec import Spec
from cachexport.errors import InvalidInputError
from cachexport.images.convert import convert_image
from cachexport.images.names import DANGLING
from cachexport.images.output import (
    STDOUT,
    DockerOutput,
    OciOutput,
    Output,
    StoreOutput,
    parse_output,
)
from cachexport.images.parts import Preferring
from cachexport.images.pull import copy_image
from cachexport.images.select import select_image
from cachexport.images.store import Store
from cachexport.images.store.leases import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.content.progress import Progress
    from cachexport.images.archive.members import Sink
    from cachexport.images.store import Contents
    from cachexport.oci.descriptor import Descriptor, Platform


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

    `names` are those of an output without any. Of an index it is the image for `platform`; a
    whole index goes to a registry, a store or a layout, not into a Docker archive. `store` is what
    `type=store` means, and `stdout` what a `dest` of `-` does. `rewrite-timestamp` is for those
    who make layers.

    Raises before anything is read, else what writing there raises.
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


@contextmanager
def workspace(store: Store | None) -> Iterator[Contents]:
    """Have room for what has to be made, in the store under a lease, or in a temporary one."""
    with ExitStack() as stack:
        if store is None:
            folder = stack.enter_context(_temporary())
            store = stack.enter_context(Store.open(folder, clock=time.time))
        lease = stack.enter_context(store.leases.held(seconds=DAY))
        yield store.content.under(lease)


@contextmanager
def _temporary() -> Iterator[Path]:
    with translated("write", "the folder for temporary files"):
        folder = tempfile.TemporaryDirectory(prefix="cachexport-")
    with folder as path:
        yield Path(path)


def _converted(
    image: OpenedImage,
    output: Output,
    platform: Platform | None,
    content: Contents,
    progress: Progress,
) -> OpenedImage:
    found = select_image(image.provider, image.descriptor, platform)
    manifest = convert_image(image.provider, found, content, output.changes, progress)
    return OpenedImage(Preferring(content, image.provider), manifest, image.close)


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
