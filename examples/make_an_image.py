"""Make an image without a Dockerfile, for `docker load`: python examples/make_an_image.py OUT."""

import io
import json
import sys
import tarfile
from pathlib import Path

from cachexport import Descriptor, MemoryContent
from cachexport.images import (
    complete_config,
    empty_config,
    encode_image_manifest,
    open_docker_archive,
    parse_history,
    read_config,
    save_docker_archive,
    select_image,
)


def layer(name: str, content: bytes) -> bytes:
    """Make a layer, uncompressed, with one file."""
    file = tarfile.TarInfo(name)
    file.size = len(content)
    with tarfile.open(fileobj=(out := io.BytesIO()), mode="w") as tar:
        tar.addfile(file, io.BytesIO(content))
    return out.getvalue()


def described(blob: bytes, step: str) -> Descriptor:
    """Say of a layer what the image's history shall tell."""
    told = {"buildkit/description": step, "buildkit/createdat": "2026-11-22T08:00:00Z"}
    plain = "application/vnd.oci.image.layer.v1.tar"
    desc = Descriptor.of(blob, plain)
    return Descriptor(media_type=plain, digest=desc.digest, size=desc.size, annotations=told)


if len(sys.argv) != 2:
    sys.exit(__doc__)
out = Path(sys.argv[1])

blobs = [layer("deps.txt", b"numpy\n"), layer("app.py", b"print('hi')\n")]
steps = ["COPY deps.txt /", "COPY app.py /"]
layers = [described(blob, step) for blob, step in zip(blobs, steps, strict=True)]

wanted = json.loads(empty_config("amd64", "linux"))
wanted["config"]["Cmd"] = ["/app.py"]
config = complete_config(json.dumps(wanted).encode(), layers)
image, manifest = encode_image_manifest(config, layers)
content = MemoryContent([*blobs, config, manifest])
save_docker_archive(out, content, image, names=["example/app:1"])

# And read again: any archive of `docker save`, BuildKit or skopeo would do.
with open_docker_archive(out) as archive:
    for found in archive.images:
        print(*found.names)
        its_config = read_config(archive, select_image(archive, found.descriptor))
        for entry in parse_history(its_config) or ():
            print(f"  {entry.created}  {entry.created_by}")
