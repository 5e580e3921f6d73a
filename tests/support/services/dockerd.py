"""A docker daemon of its own, in its own namespaces."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.testing.services import environment, lacking, program, running
from support.services.builds import BuildLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLIENT = Path("/usr/bin/docker")  # Debian's, of the daemon's version; PATH may begin with another
SOCKET = Path("/run/cachexport-tests.sock")  # no path that a daemon of the machine has
PREPARE = 'mount -t tmpfs tmpfs /run && exec "$@"'


class DockerFailed(Exception):
    """A command of the docker client failed; the text has what it said."""


@dataclass(frozen=True)
class Dockerd:
    """A daemon that runs; `config` is the folder of its client's config.json."""

    socket: Path
    config: Path

    def run(self, *args: str, env: Mapping[str, str] | None = None) -> str:
        """Run a docker command and give all it says."""
        done = subprocess.run(
            [str(CLIENT), "--host", f"unix://{self.socket}", *args],
            env=environment({"DOCKER_CONFIG": str(self.config), **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
        )
        if done.returncode:
            raise DockerFailed(f"docker {' '.join(args)}: {done.returncode}\n{done.stdout}")
        return done.stdout

    def build(
        self, context: Path, tag: str, *args: str, env: Mapping[str, str] | None = None
    ) -> BuildLog:
        """Build with BuildKit; there is no network for RUN."""
        options = ["--progress=plain", "--network=none", "--tag", tag, *args]
        buildkit = {"DOCKER_BUILDKIT": "1", **(env or {})}
        return BuildLog.parse(self.run("build", *options, str(context), env=buildkit))

    def push(self, name: str) -> None:
        self.run("push", name)

    def pull(self, name: str) -> None:
        self.run("pull", name)

    def prune_all(self) -> None:
        """Forget all images and the whole build cache."""
        self.run("image", "prune", "--all", "--force")
        self.run("builder", "prune", "--all", "--force")


@contextmanager
def running_dockerd(folder: Path, insecure_registries: Sequence[str] = ()) -> Iterator[Dockerd]:
    """Run a daemon with its data in `folder`; registries of this machine are always insecure.

    Its /run is its own, so its sockets have short names and are gone with it.
    """
    argv = [*_namespaces(), program("dockerd"), *_options(folder, insecure_registries)]
    config = folder / "client"
    config.mkdir()
    with running(argv, folder / "dockerd.log", lambda pid: _answers(_socket(pid))) as pid:
        yield Dockerd(_socket(pid), config)


def _namespaces() -> list[str]:
    if os.geteuid() != 0:
        lacking("dockerd", "only root may run one")
    if not CLIENT.exists():
        lacking("dockerd", f"there is no {CLIENT}")
    unshare = [program("unshare"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*unshare, "/bin/sh", "-c", PREPARE, "dockerd"]


def _options(folder: Path, insecure_registries: Sequence[str]) -> list[str]:
    return [
        f"--data-root={folder / 'data'}",
        "--exec-root=/run/docker",
        "--pidfile=/run/docker.pid",
        f"--host=unix://{SOCKET}",
        "--bridge=none",
        "--iptables=false",
        "--ip-forward=false",
        *(f"--insecure-registry={registry}" for registry in insecure_registries),
    ]


def _socket(pid: int) -> Path:
    """Give the daemon's socket as seen from outside its namespace."""
    return Path(f"/proc/{pid}/root", *SOCKET.parts[1:])


def _answers(socket: Path) -> bool:
    ping = [str(CLIENT), "--host", f"unix://{socket}", "version"]
    return socket.exists() and subprocess.run(ping, capture_output=True, timeout=30).returncode == 0
