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
FORMS = ["image-manifest=false", "oci-mediatypes=false"]
OTHER_DOCKERFILE = """\
FROM scratch AS base
COPY tool /bin/tool
RUN ["/bin/tool", "/base", "base"]
FROM base AS docs
RUN ["/bin/tool", "/index", "of nothing"]
COPY source /page
FROM base AS tests
COPY --from=docs /index /index
RUN ["/bin/tool", "/passed", "all"]
FROM docs
COPY --from=tests /passed /passed
ENTRYPOINT ["/bin/tool"]
"""


def built_and_pushed(
    dockerd: Dockerd, registry: Registry, repo: str, context: Path, tag: str
) -> str:
    """Build an image with an inline cache, push it, and give its reference."""
    ref = f"{registry.host}/{repo}:{tag}"
    assert not dockerd.build(context, ref, *INLINE).cached
    dockerd.push(ref)
    return ref


@pytest.mark.parametrize("form", FORMS)
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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["merged", "merging"])
def test_two_different_builds_are_cached_from_one_merged_ref(
    dockerd: Dockerd,
    registry: Registry,
    repo: str,
    context: Callable[[str], Path],
    form: str,
    way: str,
) -> None:
    one, two = context("one"), context("two")
    (two / "Dockerfile").write_text(OTHER_DOCKERFILE)
    images = [built_and_pushed(dockerd, registry, repo, one, "one")]
    dockerd.prune_all()
    images.append(built_and_pushed(dockerd, registry, repo, two, "two"))
    cache = f"{registry.host}/{repo}:cache"
    target = f"type=registry,ref={cache},{form}"
    if way == "merged":
        copy_cache(images, [target])
    else:
        for image in images:
            copy_cache([image], [f"{target},merge=true"])
    for folder in (one, two):
        dockerd.prune_all()
        log = dockerd.build(folder, f"{repo}:again", "--cache-from", cache)
        assert log.executed == []
        assert log.cached
