"""What a group finds in its folder, and what happens to that between commands."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from golden.transcript import AGE, Setup, past
from support import caches

if TYPE_CHECKING:
    from pathlib import Path


def have(*names: str) -> Setup:
    """Copy real caches; files keep no time of their own, all are written 30 hours ago."""

    def prepare(folder: Path) -> None:
        for name in names:
            source = caches.FOLDER / name
            if name == "wide":
                caches.unpack_wide(folder)
            elif source.is_dir():
                shutil.copytree(source, folder / name)
            else:
                shutil.copy(source, folder / name)
            age(folder / name, AGE)

    return Setup(f"caches: {', '.join(names)}", prepare)


def age(path: Path, seconds: float) -> None:
    """Let a file, or all files of a folder, be so many seconds old."""
    time = past(seconds)
    for file in (path, *path.rglob("*")) if path.is_dir() else (path,):
        os.utime(file, (time, time))


def aged(path: str, hours: int) -> Setup:
    """Let files be so many hours old, and ten minutes, to be far from the next hour."""
    return Setup(f"{path} is {hours} h old", lambda folder: age(folder / path, hours * 3600 + 600))


def damaged(path: str) -> Setup:
    """Replace the content of a file by as many other bytes."""

    def prepare(folder: Path) -> None:
        file = folder / path
        size = file.stat().st_size
        file.chmod(0o644)
        file.write_bytes(b"?" * size)
        age(file, AGE)

    return Setup(f"other bytes in {path}", prepare)


def longer(path: str) -> Setup:
    """Put a byte at the end of a file."""

    def prepare(folder: Path) -> None:
        file = folder / path
        file.chmod(0o644)
        file.write_bytes(file.read_bytes() + b"?")
        age(file, AGE)

    return Setup(f"a byte more in {path}", prepare)


def gone(path: str) -> Setup:
    """Remove a file."""
    return Setup(f"{path} is gone", lambda folder: (folder / path).unlink())


def written(path: str, text: str) -> Setup:
    """Write a file, and the directories that it is in."""

    def prepare(folder: Path) -> None:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        age(file, AGE)

    return Setup(f"{path}: {text.strip()[:200]!r}", prepare)


def changed(path: str, old: str, new: str) -> Setup:
    """Replace text in a file."""

    def prepare(folder: Path) -> None:
        file = folder / path
        text = file.read_text()
        assert old in text
        file.chmod(0o644)
        file.write_text(text.replace(old, new))
        age(file, AGE)

    return Setup(f"{old!r} in {path} becomes {new!r}", prepare)


def copied(source: str, dest: str) -> Setup:
    """Copy a folder, times too."""

    def prepare(folder: Path) -> None:
        shutil.copytree(folder / source, folder / dest)

    return Setup(f"{dest} is a copy of {source}", prepare)
