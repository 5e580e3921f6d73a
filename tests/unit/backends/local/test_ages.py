"""How old a name is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support import caches

from cachexport import copy_cache, load_cache
from cachexport.backends.local.layout import Layout
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

MAX = f"type=local,src={caches.FOLDER / 'max'}"
LONG_AGO = 1_000_000_000


def age(directory: Path) -> Path:
    """Make all blobs old, and give the manifest's file."""
    blobs = directory / "blobs" / "sha256"
    for blob in blobs.iterdir():
        os.utime(blob, (LONG_AGO, LONG_AGO))
    [cache] = load_cache(f"type=local,src={directory}")
    return blobs / cache.wrapped.descriptor.digest.encoded


@pytest.mark.parametrize("attrs", ["", ",merge=true"])
def test_a_name_is_as_young_as_its_last_export(tmp_path: Path, attrs: str) -> None:
    copy_cache([MAX], [f"type=local,dest={tmp_path}"])
    manifest = age(tmp_path)
    copy_cache([MAX], [f"type=local,dest={tmp_path}{attrs}"])
    assert manifest.stat().st_mtime > LONG_AGO


def test_a_manifest_of_another_user_stays_as_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_cache([MAX], [f"type=local,dest={tmp_path}"])

    def refuse(layout: Layout, digest: str) -> bool:
        raise BackendError("not permitted", op="read")

    monkeypatch.setattr(Layout, "renew", refuse)
    assert copy_cache([MAX], [f"type=local,dest={tmp_path}"])[0].response
