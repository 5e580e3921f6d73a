"""What kind of file system a path is on, as far as Linux tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cachexport.content.files.mounts import mounted

_SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre"})
_ADVICE = {
    "overlay": "a cache in a container's own layer goes with the container; mount a volume there",
    "tmpfs": "what is in memory goes with the next start; use a disk to keep a cache",
    "ramfs": "what is in memory goes with the next start; use a disk to keep a cache",
}
_SHARED_ADVICE = (
    "what was tried here was tried on one machine; where several write, locks have to "
    "reach all of them"
)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A kind of file system, and what a cache on one has to expect."""

    name: str
    advice: str = ""


def file_system(path: Path) -> FileSystem:
    """Tell the file system of an existing path; its name is `unknown` where nothing tells."""
    name = _mounted_at(path.resolve())
    if name in _SHARED or name.startswith("fuse."):
        return FileSystem(name, _SHARED_ADVICE)
    return FileSystem(name, _ADVICE.get(name, ""))


def _mounted_at(path: Path) -> str:
    best, kind = Path(), "unknown"
    for mount in mounted():
        # Of two mounts at one point the later one hides the other.
        if path.is_relative_to(mount.point) and len(mount.point.parts) >= len(best.parts):
            best, kind = mount.point, mount.kind
    return kind
