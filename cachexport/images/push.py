"""Copying images to where they get a name: a registry above all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes, move_missing
from cachexport.content.progress import silent, step
from cachexport.images.moving import moving
from cachexport.images.parts import take_apart

if TYPE_CHECKING:
    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Provider
    from cachexport.contract.images import ImageTarget
    from cachexport.oci.descriptor import Descriptor, Platform


def push_image(
    provider: Provider,
    root: Descriptor,
    target: ImageTarget,
    *,
    platform: Platform | None = None,
    progress: Progress = silent,
) -> Descriptor:
    """Copy the image for `platform`, or all that `root` names, and give it the target's name.

    Gives the descriptor of what has the name now. What is there already, or can be taken over
    from another repository of the registry, is not sent; layers that nobody may distribute are
    not either. Nothing has the name before all of it is there. Raises as `take_apart` and
    `copy_blob` do, AlreadyExists when the name stands for a build cache.
    """
    target.check()
    parts = take_apart(provider, root, platform)
    copying = moving("copying", progress)
    move_missing(provider, target.ingester, parts.blobs, copying, target.parallelism)
    for desc, raw in parts.manifests:
        with step(progress, f"writing manifest {desc.digest}"):
            ingest_bytes(target.ingester, desc, raw)
    with step(progress, f"writing manifest {parts.root.digest} as {target}"):
        target.publish(parts.root, parts.raw)
    return parts.root
