"""How long it takes to prune a directory and a bucket of many blobs and names.

    python benchmarks/prune.py [--plot FILE] [NAMES]...

For each number of NAMES a place is made in which each name needs 50 layers of its own, and as many
blobs are needed by nobody; then `cachexport prune --yes` deletes those. With --plot (which needs
matplotlib) the times and the memory are drawn into an SVG file.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costs import Cost, measure
from seaweed import BUCKET, LOGIN, bucket

from cachexport import CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote, Timestamp
from cachexport.backends.objects.names import encode_named
from cachexport.content.diff_ids import with_diff_ids
from cachexport.contract.export import CommonExport
from cachexport.oci.index import REF_NAME, Index
from cachexport.transfer.prepare import prepare_chains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachexport.model.envelope.cache import WrappedCache

DEFAULT = [100, 300, 1000]
LAYERS = 50
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Point:
    """What pruning a place cost."""

    kind: str
    names: int
    cost: Cost

    @property
    def blobs(self) -> int:
        """How many blobs there were, with configs and manifests."""
        return self.names * (2 * LAYERS + 2)


def caches(names: int) -> Iterator[tuple[str, WrappedCache, list[bytes]]]:
    """Give names, their caches, and blobs: the layers and as many that nobody needs."""
    for number in range(names):
        chains, record, remote = CacheChains(), None, None
        blobs = [os.urandom(100) for _ in range(2 * LAYERS)]
        for position, blob in enumerate(blobs[:LAYERS]):
            desc = Descriptor.of(blob, LAYER)
            remote = remote.stack(desc) if remote else Remote([desc])
            links = [[CacheLink(record)]] if record else []
            made = CacheResult(Timestamp(number), remote)
            record = chains.add(Digest.of(b"%d" % position), links, [made])
        yield f"name-{number:05}", prepare_chains(chains, CommonExport()), blobs


def fill_directory(folder: Path, names: int) -> None:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    entries = []
    for name, cache, raws in caches(names):
        for raw in (*raws, cache.wrapped.config, cache.wrapped.manifest):
            (blobs / Digest.of(raw).encoded).write_bytes(raw)
        desc = cache.wrapped.descriptor
        entries.append(
            Descriptor(
                media_type=desc.media_type,
                digest=desc.digest,
                size=desc.size,
                annotations={REF_NAME: name},
            )
        )
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_bytes(Index(manifests=tuple(entries)).encode())


def fill_bucket(endpoint: str, names: int) -> None:
    import boto3

    os.environ |= LOGIN
    s3 = boto3.client("s3", endpoint_url=endpoint)

    def put(item: tuple[str, bytes]) -> None:
        s3.put_object(Bucket=BUCKET, Key=item[0], Body=item[1])

    with ThreadPoolExecutor(8) as pool:
        for name, cache, raws in caches(names):
            all_raws = (*raws, cache.wrapped.config, cache.wrapped.manifest)
            items = [(f"blobs/{Digest.of(raw)}", raw) for raw in all_raws]
            layers = with_diff_ids(cache.layers, cache.provider).values()
            items.append((f"manifests/{name}", encode_named(cache.config, layers)))
            list(pool.map(put, items))


def apart(work: Callable[..., None], *args: Any) -> None:
    """Do it in another process: Linux counts the memory of whoever starts a command as its peak."""
    maker = multiprocessing.Process(target=work, args=args)
    maker.start()
    maker.join()
    assert maker.exitcode == 0


def prune(spec: str, env: dict[str, str] | None = None) -> Cost:
    command = [sys.executable, "-m", "cachexport", "prune", "--progress", "quiet", spec]
    return measure([*command, "--grace", "0s", "--yes"], env)


def points(names: int) -> Iterator[Point]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "cache")
        apart(fill_directory, folder, names)
        yield Point("directory", names, prune(f"type=local,src={folder}"))
        left = sum(1 for _ in (folder / "blobs" / "sha256").iterdir())
        assert left == names * (LAYERS + 2), left
    with bucket() as endpoint:
        apart(fill_bucket, endpoint, names)
        spec = f"type=s3,bucket={BUCKET},endpoint_url={endpoint},touch_refresh=0s"
        yield Point("bucket", names, prune(spec, {**os.environ, **LOGIN}))


def plot(found: list[Point], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "cachexport"
    figure, (times, memory) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for kind in ("directory", "bucket"):
        mine = [point for point in found if point.kind == kind]
        blobs = [point.blobs for point in mine]
        times.plot(blobs, [point.cost.seconds for point in mine], marker="o", label=kind)
        memory.plot(blobs, [point.cost.mebibytes for point in mine], marker="o", label=kind)
    for axes, title in ((times, "seconds"), (memory, "MiB of memory")):
        axes.set(title=title, xlabel="blobs, half of which go", xlim=(0, None), ylim=(0, None))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.tick_params(axis="x", labelrotation=20)
    times.legend()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", metavar="NAMES", type=int, nargs="*", default=DEFAULT)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them into this SVG file")
    asked = parser.parse_args()
    print(f"{'place':<12}{'names':>8}{'blobs':>10}{'seconds':>10}{'MiB':>6}", flush=True)
    found = []
    for names in asked.names:
        for point in points(names):
            found.append(point)
            cells = f"{point.names:>8,}{point.blobs:>10,}{point.cost.seconds:>10.2f}"
            print(f"{point.kind:<12}{cells}{point.cost.mebibytes:>6}", flush=True)
    if asked.plot:
        plot(found, asked.plot)


if __name__ == "__main__":
    main()
