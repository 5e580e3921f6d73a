"""The commands that push a cache to a registry, ours and those of other clients.

- skopeo hashes what it sends, as we do.
- crane verifies nothing: it sends a blob under the name that the layout gives it.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def ours(cache: Path, ref: str) -> list[str]:
    insecure = "" if ref.startswith("127.") else ",registry.insecure=true"
    source, target = f"type=local,src={cache}", f"type=registry,ref={ref}{insecure}"
    command = [sys.executable, "-m", "cachexport", "export", "--progress", "quiet"]
    return [*command, "--cache-from", source, "--cache-to", target]


def crane(cache: Path, ref: str) -> list[str]:
    return ["crane", "push", "--insecure", str(cache), ref]


def skopeo(cache: Path, ref: str) -> list[str]:
    flags = ["--dest-tls-verify=false", "--insecure-policy"]
    return ["skopeo", "copy", *flags, f"oci:{cache}:latest", f"docker://{ref}"]


def installed() -> dict[str, Callable[[Path, str], list[str]]]:
    """Give what makes the command of each tool there is; ours is first."""
    peers = {"crane": crane, "skopeo": skopeo}
    return {"ours": ours, **{name: peers[name] for name in peers if shutil.which(name)}}
