"""`cachexport image`, in a store that is in the group's folder."""

from __future__ import annotations

from golden.preparing import have, written
from golden.transcript import Group

NAME = "docker.io/example/app:1"

IMAGES = (
    Group(
        "image-store",
        (
            have("docker-archive.tar", "inline-image.tar", "max"),
            "image ls",
            "image ls --format json",
            "image load docker-archive.tar --progress quiet",
            "image load inline-image.tar --progress quiet",
            "image ls --format json",
            "image inspect example/app:1",
            f"image inspect {NAME} --format json",
            "image inspect inline-image.tar",
            "image inspect docker-archive.tar --format json",
            "image inspect type=local,src=max",
            "listing store",
            "image rm example/app:1 example/none:1",
            "image rm example/app:1",
            "image prune --dry-run",
            "image prune --all --dry-run",
            "image prune --all",
            "listing store",
            "image load max --progress quiet",
            "image load none.tar",
            written("text.tar", "no archive"),
            "image load text.tar --progress quiet",
        ),
    ),
    Group(
        "image-save",
        (
            have("docker-archive.tar"),
            "image load docker-archive.tar --progress quiet",
            "image save example/app:1 -o again.tar --progress quiet",
            "image save example/app:1 -o type=docker,dest=named.tar,name=app:2 --progress quiet",
            "image save example/app:1 -o type=oci,dest=oci.tar --progress quiet",
            "image save example/app:1 -o type=oci,dest=layout,tar=false --progress quiet",
            "image save example/app:1 -o type=oci,dest=docker-types,tar=false,"
            "oci-mediatypes=false --progress quiet",
            "image save example/app:1 -o type=oci,dest=noted,tar=false,annotation.a=b "
            "--progress quiet",
            "image save example/app:1 -o type=oci,dest=x,oci-mediatypes=false,annotation.a=b",
            "image save example/app:1 -o type=oci,dest=plain,tar=false,"
            "compression=uncompressed,force-compression=true --progress quiet",
            "image save example/app:1 -o type=store,name=app:3 --progress quiet",
            "listing .",
            "image pull type=local,src=layout,tag=docker.io/example/app:1 --name pulled:1 "
            "--progress quiet",
            "image inspect pulled:1",
            "image push app:3 type=local,dest=pushed,name=1 --progress quiet",
            "listing pushed",
            "image save none:1 -o x.tar",
            "image save example/app:1 -o type=zip,dest=x",
            "image save example/app:1 -o type=oci,dst=x",
            "image save example/app:1 --platform linux/arm64 -o x.tar --progress quiet",
            "image save example/app:1 --platform /// -o x.tar",
            "image push example/app:1 type=warehouse",
        ),
    ),
    Group(
        "image-append",
        (
            have("docker-archive.tar"),
            written("dist/run", "#!/bin/sh\n"),
            written("dist/sub/x", "x"),
            "SOURCE_DATE_EPOCH=1700000000 image append --layer dist:/app "
            "--layer dist/run:/bin/ --name app:1 --entrypoint '/app/run -v' --cmd '[\"a b\"]' "
            "--env A=1=2 --label l= --workdir /app --user 1000 --platform linux/arm64 "
            "--progress quiet",
            "image inspect app:1 --format json",
            "image append --base docker-archive.tar --layer dist --user me "
            "-o type=oci,dest=made,tar=false --progress quiet",
            "listing made",
            "listing store",
            "image append --name x",
            "image append --layer none --name x --progress quiet",
            "image append --layer dist:/../x --name x",
            "image append --layer dist --env =x --name x",
            "image append --layer dist --entrypoint [1] --name x",
        ),
        compresses=True,
    ),
)
