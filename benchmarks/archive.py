"""How long it takes to write an image into an archive, beside skopeo.

    python benchmarks/archive.py [--repeat N] [--folder DIR] [LAYERS SIZE]...

Makes an OCI image layout with an image of LAYERS gzipped layers of SIZE random bytes, in DIR, and
writes its archive with ours and with `skopeo copy` to docker-archive: and to oci-archive:. Ours is
both at once, and waits until it is on the disk. skopeo unpacks the layers for docker-archive:
and waits for no disk. A ratio is our time by theirs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from costs import Cost, measure

from cachexport import Descriptor, Digest
from cachexport.backends.local.layout import Layout
from cachexport.images import complete_config, empty_config, save_docker_archive
from cachexport.model.envelope.manifest import (
    Form,
    encode_manifest,
)
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.index import Index
from cachexport.oci.mediatype import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = [24, 40 << 20, 1, 2 << 30, 600, 100]
NAME = "example/app:1"
KINDS = ["docker-archive", "oci-archive"]


def make_image(folder: Path, layers: int, size: int) -> None:
    """Write the layout."""
    (folder / "blobs/sha256").mkdir(parents=True)
    made = [make_layer(folder, size) for _ in range(layers)]
    config = put(folder, complete_config(empty_config("amd64"), made), OCI_CONFIG)
    manifest = encode_manifest(Form.IMAGE_MANIFEST, made, config)
    entry = put(folder, manifest, OCI_MANIFEST)
    (folder / "index.json").write_bytes(Index().with_tag("1", entry).encode())
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def make_layer(folder: Path, size: int) -> Descriptor:
    """Write a layer a mebibyte at a time; gzip stores it, since chance cannot be compressed."""
    plain, packed = Digest.of(b"").hasher(), Digest.of(b"").hasher()
    gzip = zlib.compressobj(0, wbits=31)
    with (folder / "new").open("wb") as file:

        def write(raw: bytes) -> None:
            packed.update(raw)
            file.write(raw)

        for start in range(0, size, 1 << 20):
            block = os.urandom(min(1 << 20, size - start))
            plain.update(block)
            write(gzip.compress(block))
        write(gzip.flush())
    digest = Digest.from_hasher(packed)
    target = (folder / "new").rename(Layout(folder).blob(digest))
    return Descriptor(
        media_type=OCI_LAYER_GZIP,
        digest=digest,
        size=target.stat().st_size,
        annotations={UNCOMPRESSED: Digest.from_hasher(plain)},
    )


def put(folder: Path, raw: bytes, media_type: str) -> Descriptor:
    desc = Descriptor.of(raw, media_type)
    Layout(folder).blob(desc.digest).write_bytes(raw)
    return desc


def save(layout: Path, archive: Path) -> None:
    """Do our part of the comparison, in a process of its own."""
    (image,) = Index.decode((layout / "index.json").read_bytes()).manifests
    save_docker_archive(archive, Layout(layout), image, names=[NAME])


def ours(layout: Path, archive: Path) -> list[str]:
    return [sys.executable, __file__, "--save", str(layout), str(archive)]


def skopeo(kind: str) -> Callable[[Path, Path], list[str]]:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    return lambda layout, archive: [*command, f"oci:{layout}:1", f"{kind}:{archive}:{NAME}"]


def tools() -> dict[str, Callable[[Path, Path], list[str]]]:
    """Give what makes the command of each tool there is; ours is first."""
    kinds = KINDS if shutil.which("skopeo") else []
    return {"ours": ours, **{kind: skopeo(kind) for kind in kinds}}


def compare(layers: int, size: int, folder: Path | None, repeat: int) -> None:
    """Print a line with each tool's best time."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        layout, archive = Path(name, "layout"), Path(name, "archive.tar")
        # In a process of its own: Linux counts the memory of whoever starts a command as its peak.
        maker = multiprocessing.Process(target=make_image, args=(layout, layers, size))
        maker.start()
        maker.join()
        assert maker.exitcode == 0
        best: dict[str, Cost] = {}
        for _ in range(repeat):
            for tool, command in tools().items():
                archive.unlink(missing_ok=True)
                cost = measure(command(layout, archive))
                best[tool] = min(cost, best.get(tool, cost), key=lambda cost: cost.seconds)
    print(row(f"{layers:,} x {size:,} bytes", best), flush=True)


def row(name: str, costs: dict[str, Cost]) -> str:
    """Give a line of the table; a ratio is our time by theirs."""
    mine = costs["ours"]
    cells = [f"{mine.seconds:.2f}", f"{mine.mebibytes}"]
    for theirs in (costs[kind] for kind in KINDS if kind in costs):
        ratio = mine.seconds / theirs.seconds
        cells += [f"{theirs.seconds:.2f}", f"{theirs.mebibytes}", f"{ratio:.2f}"]
    return f"{name:<24}" + "".join(f"{cell:>11}" for cell in cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="LAYERS SIZE", type=int, nargs="*", default=DEFAULT)
    parser.add_argument("--repeat", type=int, metavar="N", default=1, help="take the best of N")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="on the disk that is meant")
    parser.add_argument("--save", type=Path, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.save:
        return save(*asked.save)
    heads = ["ours (s)", "(MiB)", "docker (s)", "(MiB)", "ratio", "oci (s)", "(MiB)", "ratio"]
    shown = heads if len(tools()) > 1 else heads[:2]
    print(f"{'image':<24}" + "".join(f"{head:>11}" for head in shown), flush=True)
    for layers, size in zip(asked.cases[::2], asked.cases[1::2], strict=True):
        compare(layers, size, asked.folder, asked.repeat)
    return None


if __name__ == "__main__":
    main()
