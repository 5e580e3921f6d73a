"""Record a build of your own and export its cache: python examples/record_a_build.py OUT

It makes two layers, says what they depend on, and writes a cache that BuildKit reads.
"""

import io
import sys
import tarfile

import cachexport


def layer(name: str, text: str) -> bytes:
    """Make an uncompressed layer with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        file = tarfile.TarInfo(name)
        file.size = len(text)
        tar.addfile(file, io.BytesIO(text.encode()))
    return buffer.getvalue()


blobs = [layer("deps.txt", "numpy\n"), layer("app.py", "print('hi')\n")]
content = cachexport.MemoryContent(blobs)
remotes = []
for blob in blobs:
    desc = cachexport.Descriptor.of(blob, "application/vnd.oci.image.layer.v1.tar")
    remotes.append(remotes[-1].stack(desc) if remotes else cachexport.Remote([desc], content))

chains = cachexport.CacheChains()
base = chains.add(cachexport.Digest.of(b"install deps.txt"), results=[
    cachexport.CacheResult("2026-11-22T08:00:00Z", remotes[0]),
])
chains.add(cachexport.Digest.of(b"copy app.py"), [[cachexport.CacheLink(base)]], [
    cachexport.CacheResult("2026-11-22T08:00:01Z", remotes[1]),
])
print(cachexport.export_cache(chains, f"type=local,dest={sys.argv[1]},mode=max"))
