"""SeaweedFS, an S3 server that checks signatures, rights and conditions as AWS does.

What it does otherwise: If-Match on a key that is not there is 412 (404 at AWS), `x//y` becomes
`x/y`, and a bucket that is not empty can be deleted. Of conditional PUTs that come at once exactly
one wins, as it should be; but of uploads of parts that are completed at once, several may.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cachexport.testing.services import answers, free_port, program, running
from support.services.s3 import S3, AccessKey, connected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHARED = "shared"
EVERYTHING = ("Read", "Write", "List", "Tagging")
PARTS = ("master", "volume", "filer", "s3", "admin")
SOCKETS = Path("/tmp")  # no option of the program's moves them
# A bucket takes a volume as soon as it is not empty; by default, a small disk has some dozens.
MOST_VOLUMES = 1000
OPTIONS = [
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-admin.ui=false",
    "-master.telemetry=false",
    "-webdav=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
    f"-volume.max={MOST_VOLUMES}",
]


@contextmanager
def running_seaweed(folder: Path) -> Iterator[S3]:
    """Run a server with access keys of its own, and its data in `folder`."""
    ports = {part: (free_port(), free_port()) for part in PARTS}
    admin, reader, tenant = (AccessKey.fresh() for _ in range(3))
    identities = folder / "s3.json"
    identities.write_text(json.dumps(_identities(admin, reader, tenant)))
    data = folder / "data"
    data.mkdir()
    argv = [_weed(), "-logtostderr=true", "mini", f"-dir={data}", f"-s3.config={identities}"]
    argv += [*OPTIONS, *_ports(ports)]
    port, _ = ports["s3"]
    endpoint = f"http://127.0.0.1:{port}"
    try:
        with (
            connected(endpoint, admin) as client,
            running(argv, folder / "weed.log", lambda _: answers(port) and _stores(client)),
        ):
            yield S3(endpoint, SHARED, admin, reader, tenant, client)
    finally:
        _remove_sockets(ports)


def _weed() -> str:
    """Give the program that pip has put beside our interpreter, or else one of the machine's."""
    ours = Path(sys.executable).with_name("weed")
    return str(ours) if ours.exists() else program("weed")


def _identities(admin: AccessKey, reader: AccessKey, tenant: AccessKey) -> dict[str, object]:
    actions = {
        "admin": (admin, ("Admin", *EVERYTHING)),
        "reader": (reader, ("Read", "List")),
        "tenant": (tenant, tuple(f"{action}:{SHARED}" for action in EVERYTHING)),
    }
    return {
        "identities": [
            {
                "name": name,
                "credentials": [{"accessKey": key.access, "secretKey": key.secret}],
                "actions": allowed,
            }
            for name, (key, allowed) in actions.items()
        ]
    }


def _ports(ports: Mapping[str, tuple[int, int]]) -> list[str]:
    """Name both ports of each part: else the second is 10,000 above, where others may be."""
    return [
        option
        for part, (http, grpc) in ports.items()
        for option in (f"-{part}.port={http}", f"-{part}.port.grpc={grpc}")
    ]


def _stores(client: Any) -> bool:
    """Tell whether a byte can be stored, in the shared bucket, which is made (soonest by us)."""
    known = client.exceptions
    try:
        with suppress(known.BucketAlreadyExists, known.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=SHARED)
        client.put_object(Bucket=SHARED, Key="ready", Body=b"x")
        client.delete_object(Bucket=SHARED, Key="ready")
    except (BotoCoreError, ClientError):
        return False
    return True


def _remove_sockets(ports: Mapping[str, tuple[int, int]]) -> None:
    for port in (port for both in ports.values() for port in both):
        for socket in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
            socket.unlink()
