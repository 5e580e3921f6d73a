"""Debian's docker-registry, with its storage in a folder that tests may look into and damage."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cachexport.testing.services import answers, free_port, program, running
from support.services.token_server import ISSUER, SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from support.services.logins import Login
    from support.services.tls import Authority, Certificate
    from support.services.token_server import TokenServer


@dataclass(frozen=True)
class Manifest:
    digest: str
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass(frozen=True)
class Registry:
    """A registry that runs; what is asked here is read from its files, with no request."""

    host: str
    scheme: str
    root: Path

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def has_blob(self, digest: str, repo: str | None = None) -> bool:
        """Tell whether a blob (or manifest) is stored, and whether `repo` may be asked for it."""
        linked = repo is None or self._link(repo, "_layers", digest).exists()
        return linked and self._data(digest).exists()

    def delete_blob_file(self, digest: str) -> None:
        """Lose a blob that manifests name; from now on the registry answers 404."""
        self._data(digest).unlink()

    def spoil_blob_file(self, digest: str) -> None:
        """Change the last byte of a blob."""
        raw = self._data(digest).read_bytes()
        self._data(digest).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))

    def tags(self, repo: str) -> list[str]:
        tags = self._repository(repo) / "_manifests" / "tags"
        return sorted(tag.name for tag in tags.iterdir()) if tags.exists() else []

    def manifest(self, repo: str, tag: str) -> Manifest:
        """Read what a tag names; FileNotFoundError if there is no such tag."""
        link = self._repository(repo) / "_manifests" / "tags" / tag / "current" / "link"
        digest = link.read_text()
        return Manifest(digest, self._data(digest).read_bytes())

    def _repository(self, repo: str) -> Path:
        return self.root / "docker" / "registry" / "v2" / "repositories" / repo

    def _link(self, repo: str, kind: str, digest: str) -> Path:
        return self._repository(repo).joinpath(kind, *digest.split(":"), "link")

    def _data(self, digest: str) -> Path:
        algorithm, encoded = digest.split(":")
        blobs = self.root / "docker" / "registry" / "v2" / "blobs"
        return blobs / algorithm / encoded[:2] / encoded / "data"


@contextmanager
def running_registry(
    folder: Path,
    *,
    logins: Sequence[Login] = (),
    tokens: TokenServer | None = None,
    authority: Authority | None = None,
    port: int | None = None,
    deletes: bool = True,
) -> Iterator[Registry]:
    """Run a registry: open to all, or for `logins` (htpasswd), or for the bearers of `tokens`.

    With an authority it speaks TLS; without `deletes` it deletes nothing. Started anew in the same
    folder, it has what it had.
    """
    port = port or free_port()
    registry = Registry(f"127.0.0.1:{port}", "https" if authority else "http", folder / "storage")
    config = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": str(registry.root)},
            "delete": {"enabled": deletes},
        },
        "http": _http(registry, authority.issue() if authority else None),
        "auth": _auth(folder, logins, tokens),
    }
    path = folder / "config.yml"
    path.write_text(json.dumps(config))
    argv = [program("docker-registry"), "serve", str(path)]
    with running(argv, folder / "registry.log", lambda _: answers(port)):
        yield registry


def _http(registry: Registry, certificate: Certificate | None) -> dict[str, object]:
    http: dict[str, object] = {"addr": registry.host, "secret": "of the tests"}
    if certificate:
        http["tls"] = {"certificate": str(certificate.chain), "key": str(certificate.key)}
    return http


def _auth(folder: Path, logins: Sequence[Login], tokens: TokenServer | None) -> dict[str, object]:
    if tokens:
        options = {"realm": tokens.url, "service": SERVICE, "issuer": ISSUER}
        return {"token": {**options, "rootcertbundle": str(tokens.bundle)}}
    if not logins:
        return {}
    path = folder / "htpasswd"
    path.write_text("".join(login.htpasswd for login in logins))
    return {"htpasswd": {"realm": "cachexport-tests", "path": str(path)}}
