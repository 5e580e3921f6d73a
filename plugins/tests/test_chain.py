"""A cache of a real BuildKit goes through every backend, one after the other, and comes home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cachexport import copy_cache, load_cache, verify_cache
from cachexport.testing import difference, layout_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport import Descriptor

WIRE = Path(__file__).parents[2] / "tests" / "wire" / "caches"
CACHES = sorted(path.parent.name for path in WIRE.glob("*/index.json"))
TO_THE_BYTE = ("max", "copy-link")
"""Those in the form that every backend keeps."""
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def test_there_are_many() -> None:
    assert {*TO_THE_BYTE, "min", "max-oci-index", "max-docker-list", "max-zstd"} <= set(CACHES)


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_comes_home(
    places: Callable[[], dict[str, str]], tmp_path: Path, name: str
) -> None:
    start = at = f"type=local,src={WIRE / name}"
    for there in (*places().values(), f"type=local,dest={tmp_path / 'end'}"):
        copy_cache([at], [there])
        at = there.replace("dest=", "src=") if there.startswith("type=local") else there
        [found] = verify_cache(at, deep=True)
        assert found.faults == (), there
    if name in TO_THE_BYTE:
        assert layout_files(tmp_path / "end") == layout_files(WIRE / name)
    [before], [after] = load_cache(start), load_cache(at)
    assert difference(before.config, after.config) is None
    assert set(map(_described, after.layers)) == set(map(_described, before.layers))


def _described(desc: Descriptor) -> tuple[object, ...]:
    """Say all of a layer. Docker's list has Docker's types, which are OCI's by another name."""
    return desc.digest, desc.size, desc.media_type.replace(DOCKER_LAYER, OCI_LAYER), desc.diff_id
