"""The proof: a docker daemon that says CACHED because of a cache that we wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport import copy_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.dockerd import Dockerd
    from support.services.registry import Registry

INLINE = ("--build-arg", "BUILDKIT_INLINE_CACHE=1")


def built_and_pushed(
    dockerd: Dockerd, registry: Registry, repo: str, context: Path, tag: str
) -> str:
    """Build an image with an inline cache, push it, and give its reference."""
    ref = f"{registry.host}/{repo}:{tag}"
    assert not dockerd.build(context, ref, *INLINE).cached
    dockerd.push(ref)
    return ref


@pytest.mark.parametrize("form", ["image-manifest=false", "oci-mediatypes=false"])
@pytest.mark.parametrize("way", ["registry", "directory"])
def test_a_build_is_cached_from_what_we_exported(
    dockerd: Dockerd,
    registry: Registry,
    repo: str,
    context: Callable[[str], Path],
    tmp_path: Path,
    form: str,
    way: str,
) -> None:
    one = context("one")
    image = built_and_pushed(dockerd, registry, repo, one, "image")
    cache = f"{registry.host}/{repo}:cache"
    source = image
    if way == "directory":
        copy_cache([image], [f"type=local,dest={tmp_path / 'cache'}"])
        source = f"type=local,src={tmp_path / 'cache'}"
    copy_cache([source], [f"type=registry,ref={cache},{form}"])
    dockerd.prune_all()
    log = dockerd.build(one, f"{repo}:again", "--cache-from", cache)
    assert log.executed == []
    assert log.cached
