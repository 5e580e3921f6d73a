"""Caches for tests: small ones that share layers, and some that a real BuildKit wrote."""

from __future__ import annotations

import gzip
import io
import tarfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
)
from cachexport.contract.export import CommonExport
from cachexport.oci import mediatype
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.timestamp import Timestamp
from cachexport.transfer.prepare import prepare_chains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.model.envelope.cache import WrappedCache


BEGIN = Timestamp.parse("2026-01-01T00:00:00Z").seconds


@cache
def layer(number: int) -> tuple[bytes, Descriptor]:
    """Give a real layer, gzip of a tar with one file, and its descriptor."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        content = f"layer {number}\n".encode() * (number + 1)
        member = tarfile.TarInfo(f"file-{number}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    plain = raw.getvalue()
    blob = gzip.compress(plain, mtime=0)
    desc = Descriptor.of(blob, mediatype.OCI_LAYER_GZIP)
    annotations = {UNCOMPRESSED: str(Digest.of(plain))}
    return blob, Descriptor(
        media_type=desc.media_type, digest=desc.digest, size=desc.size, annotations=annotations
    )


def small_chains(*numbers: int, seconds: int = 0) -> CacheChains:
    """Give a graph of steps in a row, each with one more layer on top.

    The first was made `seconds` after BEGIN, each further one a second later.
    """
    chains = CacheChains()
    content = MemoryContent(layer(number)[0] for number in numbers)
    above = chains.add(str(Digest.of(b"base")))
    stack: list[Descriptor] = []
    for position, number in enumerate(numbers):
        stack.append(layer(number)[1])
        made = Timestamp(BEGIN + seconds + position)
        above = chains.add(
            str(Digest.of(f"step {number}".encode())),
            deps=[[CacheLink(above)]],
            results=[CacheResult(made, Remote(stack, content))],
        )
    return chains


def small_cache(*numbers: int, seconds: int = 0) -> WrappedCache:
    """Give the graph of `small_chains` as a cache that can be written."""
    return prepare_chains(small_chains(*numbers, seconds=seconds), CommonExport())


_FOLDER = Path(__file__).with_name("caches")
CACHES = ("copy-link", "max", "max-oci-index", "max-zstd")
"""The names of the real caches. Every backend keeps the first two to the byte."""


def real_cache(name: str) -> str:
    """Give the SPEC that reads the cache of one of CACHES."""
    return f"type=local,src={_FOLDER / name}.tar.gz"


def layout_files(folder: Path) -> dict[str, bytes]:
    """Give the files of a `type=local` directory by path, without temporary ones."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in _walk(folder)
        if path.is_file() and "ingest" not in path.relative_to(folder).parts
    }


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir():
            yield from _walk(path)
