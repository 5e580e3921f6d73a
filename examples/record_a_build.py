"""Record a build of your own and export its cache: python examples/record_a_build.py OUT."""

import io
import sys
import tarfile

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    export_cache,
)


def layer(name: str, content: bytes) -> bytes:
    """Make a layer, uncompressed, with one file."""
    file = tarfile.TarInfo(name)
    file.size = len(content)
    with tarfile.open(fileobj=(out := io.BytesIO()), mode="w") as tar:
        tar.addfile(file, io.BytesIO(content))
    return out.getvalue()


if len(sys.argv) != 2:
    sys.exit(__doc__)
out = sys.argv[1]

# What the build did: two steps, the second on top of the first.
blobs = [layer("deps.txt", b"numpy\n"), layer("app.py", b"print('hi')\n")]
deps, app = (Descriptor.of(blob, "application/vnd.oci.image.layer.v1.tar") for blob in blobs)
below = Remote([deps], MemoryContent(blobs))

chains = CacheChains()
first = chains.add(Digest.of(b"deps"), results=[CacheResult("2026-11-22T08:00:00Z", below)])
result = CacheResult("2026-11-22T08:00:01Z", below.stack(app))
chains.add(Digest.of(b"app"), deps=[[CacheLink(first)]], results=[result])
print(export_cache(chains, f"type=local,dest={out},mode=max"))
