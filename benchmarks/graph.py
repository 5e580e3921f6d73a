"""How long parsing and marshalling a cache config takes, by depth and for a wide one.

    python benchmarks/graph.py

BuildKit's own figures for the same graphs (commit 73ed682, measured with its Go code on a machine
of two cores like the one the README names) are printed beside; ratio = ours / BuildKit's.
"""

from __future__ import annotations

import gc
import resource
import time

from cachexport import CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote, Timestamp

DEEP = {127: 0.46, 300: 12.5, 500: 60.0, 3_000: 180.0, 50_000: None}
"""Depth -> seconds that BuildKit takes for parse and marshal; for 500 and 3,000 at least."""
WIDE = (4_029, 3_819, 0.18)
STAGE = 19
REPEATS = 5


def descriptor(number: int) -> Descriptor:
    """Describe a layer that is never read."""
    digest = Digest.of(b"layer %d" % number)
    return Descriptor(media_type="application/vnd.oci.image.layer.v1.tar", digest=digest, size=1)


def deep(depth: int) -> CacheChains:
    """Make a chain of records, each with a result one layer deeper."""
    chains = CacheChains()
    record = remote = None
    for number in range(depth):
        desc = descriptor(number)
        remote = Remote([desc]) if remote is None else remote.stack(desc)
        links = [] if record is None else [[CacheLink(record)]]
        result = CacheResult(Timestamp(number), remote)
        record = chains.add(Digest.of(b"record %d" % number), links, [result])
    return chains


def wide(records: int, layers: int) -> CacheChains:
    """Make a graph shaped like tests/wire/caches/wide: stages of some steps, each on the last."""
    chains = CacheChains()
    context = chains.add(Digest.of(b"context"))
    remote: Remote | None = None
    made = 0
    for number in range(records - 1):
        if number % STAGE == 0:
            below, remote = chains.add(Digest.of(b"stage %d" % number)), None
            continue
        links = [[CacheLink(below)], [CacheLink(context)]]
        results = []
        if made < layers:
            desc = descriptor(number)
            remote = Remote([desc]) if remote is None else remote.stack(desc)
            results = [CacheResult(Timestamp(number, number), remote)]
            made += 1
        below = chains.add(Digest.of(b"step %d" % number), links, results)
    return chains


def seconds(chains: CacheChains) -> tuple[float, int]:
    """Give the best time for parse and marshal, and the size of the config."""
    config, sources = chains.marshal()
    raw = config.encode()
    best = float("inf")
    for _ in range(REPEATS):
        gc.collect()  # what the case before has left is not this one's cost
        start = time.perf_counter()
        again, _ = CacheChains.parse(raw, sources).marshal()
        encoded = again.encode()
        best = min(best, time.perf_counter() - start)
        assert encoded == raw
    return best, len(raw)


def row(name: str, chains: CacheChains, buildkit: float | None, more: str = "") -> None:
    """Print a line of the table."""
    ours, size = seconds(chains)
    theirs = f"{more}{buildkit:.2f}" if buildkit else "-"
    ratio = f"{more and '<'}{ours / buildkit:.4f}" if buildkit else "-"
    print(f"{name:<34} {size:>12,} {ours:>9.3f} {theirs:>12} {ratio:>10}")


def main() -> None:
    """Print the table."""
    print(f"{'graph':<34} {'config bytes':>12} {'ours (s)':>9} {'BuildKit (s)':>12} {'ratio':>10}")
    for depth, buildkit in DEEP.items():
        row(f"chain of {depth:,} records", deep(depth), buildkit, ">" if depth >= 500 else "")
    records, layers, buildkit = WIDE
    row(f"wide: {records:,} records, {layers:,} layers", wide(records, layers), buildkit)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
