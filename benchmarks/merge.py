"""How long merging many caches takes, and how much memory, as their number grows.

    python benchmarks/merge.py

Each cache has 4,000 records and 3,800 layers, shaped like tests/wire/caches/wide. `alike`: all
have the same steps, each with results of its own, as those of 100 builds of one commit. `halves`:
half of the steps are shared. `apart`: no step is shared but the context. Configs and manifests
are read from files, merged and marshalled, all in a process of its own; no layer is read.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from costs import measure

from cachexport import CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote, Timestamp
from cachexport.content.memory import MemoryContent
from cachexport.contract.export import CommonExport
from cachexport.model import config as cacheconfig
from cachexport.model.envelope.cache import Cache
from cachexport.model.envelope.manifest import (
    Form,
    decode_manifest,
)
from cachexport.oci.descriptor import CREATED_AT, UNCOMPRESSED
from cachexport.oci.mediatype import OCI_LAYER_GZIP
from cachexport.transfer.prepare import marshalled, prepare_merged

RECORDS, STAGE = 4_000, 20
COUNTS = (25, 50, 100)
SHARED = {"alike": 1.0, "halves": 0.5, "apart": 0.0}


def build(number: int, shared: float) -> CacheChains:
    """Make the graph of a build: stages of some steps, each on the last; the first are shared."""
    chains = CacheChains()
    context = chains.add(Digest.of(b"context"))
    below = remote = None
    for step in range(RECORDS - 1):
        name = b"%d" % step if step < shared * RECORDS else b"%d of %d" % (step, number)
        if step % STAGE == 0:
            below, remote = chains.add(Digest.of(b"stage " + name)), None
            continue
        desc = layer(step, number)
        remote = Remote([desc]) if remote is None else remote.stack(desc)
        at = Timestamp(1_760_000_000 + 60 * number, step)
        links = [[CacheLink(below)], [CacheLink(context)]]
        below = chains.add(Digest.of(b"step " + name), links, [CacheResult(at, remote)])
    return chains


def layer(step: int, number: int) -> Descriptor:
    """Describe a layer that is never read."""
    digest = Digest.of(b"layer %d of %d" % (step, number))
    notes = {UNCOMPRESSED: str(digest), CREATED_AT: "2026-01-01T00:00:00Z"}
    return Descriptor(media_type=OCI_LAYER_GZIP, digest=digest, size=1, annotations=notes)


def write_caches(folder: Path, shared: float) -> None:
    """Write configs and manifests of as many builds as are merged at most."""
    for number in range(max(COUNTS)):
        wrapped = marshalled(build(number, shared), Form.IMAGE_MANIFEST).wrapped
        (folder / f"{number}.config").write_bytes(wrapped.config)
        (folder / f"{number}.manifest").write_bytes(wrapped.manifest)


def read_cache(folder: Path, number: int) -> Cache:
    """Read one of them as a backend does."""
    config = cacheconfig.decode((folder / f"{number}.config").read_bytes())
    manifest = decode_manifest((folder / f"{number}.manifest").read_bytes())
    return Cache(config=config, layers=manifest.cache_layers, provider=EVERYTHING)


class _Everything(MemoryContent):
    """Says of every blob that it is there."""

    def info(self, digest, /):
        return None


EVERYTHING = _Everything()


def merge(folder: Path, count: int) -> None:
    """Merge the first caches, and write down how many records there are and how large it is."""
    start = time.perf_counter()
    caches = [read_cache(folder, number) for number in range(count)]
    merged = prepare_merged(caches, CommonExport())
    seconds = time.perf_counter() - start
    told = f"{len(merged.config.records)} {len(merged.wrapped.config)} {seconds}"
    (folder / "told").write_text(told)


def row(name: str, folder: Path, count: int) -> None:
    """Print a line of the table."""
    cost = measure([sys.executable, __file__, str(folder), str(count)])
    records, size, seconds = (folder / "told").read_text().split()
    each = float(seconds) / count
    print(
        f"{name:<8} {count:>6} {int(records):>10,} {int(size):>13,} {float(seconds):>8.2f} "
        f"{each:>11.3f} {cost.mebibytes:>6,}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    print(
        f"{'steps':<8} {'caches':>6} {'records':>10} {'config bytes':>13} {'time (s)':>8} "
        f"{'a cache (s)':>11} {'(MiB)':>6}"
    )
    for name, shared in SHARED.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_caches(folder, shared)
            for count in COUNTS:
                row(name, folder, count)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        merge(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
