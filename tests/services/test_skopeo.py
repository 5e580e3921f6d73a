"""What others make of our image manifests."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from support import caches

from cachexport import copy_cache
from cachexport.testing.services import environment, program

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.registry import Registry

COPIED = ["max", "max-uncompressed", "copy-link"]


def skopeo_copy(source: str, target: str, folder: Path) -> None:
    argv = [program("skopeo"), "--insecure-policy", "copy", "--src-tls-verify=false"]
    argv += ["--dest-tls-verify=false", f"docker://{source}", f"docker://{target}"]
    env = environment({"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)})
    subprocess.run(argv, check=True, env=env, timeout=60, capture_output=True)


@pytest.mark.parametrize("name", COPIED)
def test_skopeo_copies_what_we_push_and_the_copy_imports(
    registry: Registry, repo: str, tmp_path: Path, name: str
) -> None:
    ours, copied = f"{registry.host}/{repo}:ours", f"{registry.host}/{repo}-copy:theirs"
    copy_cache([f"type=local,src={caches.FOLDER / name}"], [ours])
    skopeo_copy(ours, copied, tmp_path)
    copy_cache([copied], [f"type=local,dest={tmp_path / 'back'}"])
    assert caches.files(tmp_path / "back") == caches.files(caches.FOLDER / name)
