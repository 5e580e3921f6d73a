"""What a docker daemon makes of caches that were made smaller or repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from services.test_docker import OTHER_DOCKERFILE, built_and_pushed
from support.services.exports import hasten

from cachexport import compact_cache, copy_cache, load_cache, repair_names, verify_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.dockerd import Dockerd
    from support.services.registry import Registry


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


def test_what_compacting_leaves_is_imported(
    dockerd: Dockerd, registry: Registry, repo: str, context: Callable[[str], Path]
) -> None:
    one, two = context("one"), context("two")
    (two / "Dockerfile").write_text(OTHER_DOCKERFILE)
    images = [built_and_pushed(dockerd, registry, repo, one, "one")]
    dockerd.prune_all()
    images.append(built_and_pushed(dockerd, registry, repo, two, "two"))
    cache = f"{registry.host}/{repo}:cache"
    copy_cache(images, [f"type=registry,ref={cache},image-manifest=false"])
    [newer] = load_cache(images[1])
    done = compact_cache(
        f"type=registry,ref={cache}", max_layers=len(newer.config.layers), max_config_bytes=1 << 20
    )
    assert done.loss.layers > 0
    dockerd.prune_all()
    log = dockerd.build(two, f"{repo}:again", "--cache-from", cache)
    assert log.executed == []
    assert log.cached
    dockerd.prune_all()
    assert dockerd.build(one, f"{repo}:again", "--cache-from", cache).executed


def test_a_repaired_cache_serves_what_is_left(
    dockerd: Dockerd, registry: Registry, repo: str, context: Callable[[str], Path]
) -> None:
    one = context("one")
    image = built_and_pushed(dockerd, registry, repo, one, "one")
    cache = f"{registry.host}/{repo}:cache"
    copy_cache([image], [f"type=registry,ref={cache},image-manifest=false"])
    [whole] = load_cache(cache)
    top = next(layer for layer in reversed(whole.config.layers) if layer.parent != -1)
    registry.delete_blob_file(top.blob)
    [found] = verify_cache(cache)
    assert [fault.kind for fault in found.faults] == ["missing"]
    [repair] = repair_names(cache)
    assert (repair.outcome, repair.lost_results > 0) == ("repaired", True)
    [found] = verify_cache(cache, deep=True)
    assert not found.faults
    dockerd.prune_all()
    log = dockerd.build(one, f"{repo}:again", "--cache-from", cache)
    assert log.cached
