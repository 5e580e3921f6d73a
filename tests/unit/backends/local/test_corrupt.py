from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import caches

from cachexport import copy_cache, load_cache
from cachexport.errors import Integrity


@pytest.mark.parametrize("kind", ["directory", "archive"])
def test_a_corrupt_blob_is_told_with_its_source(tmp_path: Path, kind: str) -> None:
    source = shutil.copytree(caches.FOLDER / "max", tmp_path / "source")
    [cache] = load_cache(f"type=local,src={source}")
    blob = source / "blobs" / "sha256" / cache.layers[0].digest.encoded
    blob.chmod(0o644)
    blob.write_bytes(bytes(blob.stat().st_size))
    if kind == "archive":
        source = Path(shutil.make_archive(str(tmp_path / "packed"), "tar", source))
    with pytest.raises(Integrity, match=rf"is corrupt: .*\(read from {source}\)"):
        copy_cache([f"type=local,src={source}"], [f"type=local,dest={tmp_path / 'target'}"])
