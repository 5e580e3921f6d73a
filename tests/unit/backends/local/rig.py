"""What the tests of the local backend share: real caches, exports, and other processes."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support import ROOT

from cachexport.backends.local import backend
from cachexport.content.copy import copy_blob
from cachexport.content.memory import MemoryContent
from cachexport.contract.spec import parse_spec
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.contract.backend import Source, Target
    from cachexport.model.envelope.cache import WrappedCache

REPO = ROOT
CACHES = REPO / "tests" / "wire" / "caches"
LAYOUTS = sorted(path.parent.name for path in CACHES.glob("*/index.json"))


def source(**attrs: object) -> Source:
    return backend.source(parse_spec(_spec(attrs)))


def target(**attrs: object) -> Target:
    return backend.target(parse_spec(_spec(attrs)))


def load(**attrs: object) -> WrappedCache:
    (cache,) = source(**attrs).load()
    return cache


def ingest_all(cache: WrappedCache, to: Target) -> None:
    wrapped = cache.wrapped
    made = MemoryContent([wrapped.config, wrapped.manifest])
    missing = to.ingester.missing(cache.layers)
    for desc in cache.layers:
        if desc.digest in missing:
            copy_blob(cache.provider, to.ingester, desc)
    copy_blob(made, to.ingester, wrapped.config_descriptor)
    copy_blob(made, to.ingester, wrapped.descriptor)


def export(cache: WrappedCache, to: Target) -> None:
    try:
        ingest_all(cache, to)
        to.publish(cache)
    finally:
        to.close()


def copied(name: str, to: Path) -> Path:
    """Copy a real cache, made writable."""
    shutil.copytree(CACHES / name, to)
    for path in [to, *to.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return to


def described(raw: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    return Descriptor.of(raw, media_type)


def put(layout_dir: Path, raw: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    """Put a blob into a layout as another program would."""
    desc = described(raw, media_type)
    path = layout_dir / "blobs" / "sha256" / desc.digest.encoded
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return desc


def tree(directory: Path) -> dict[str, bytes]:
    """Give all files but our locks, with their content."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def reader(raw: bytes) -> io.BytesIO:
    return io.BytesIO(raw)


@contextmanager
def process(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """Run Python code with pipes; it is killed at the end of the block."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), str(REPO / "tests")])},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def expect(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdout is not None
    assert child.stdout.readline().strip() == word


def tell(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def _spec(attrs: dict[str, object]) -> str:
    return ",".join(["type=local", *(f"{key}={value}" for key, value in attrs.items())])
