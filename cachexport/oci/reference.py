"""Image references, read and completed as Docker does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cachexport.errors import InvalidDigest, InvalidReference
from cachexport.oci.digest import Digest

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")

_DOCKER_HUB = "docker.io"
_DOCKER_HUB_ALIAS = "index.docker.io"
_MAX_REPOSITORY = 255
"""Characters that a repository may have, in Docker's own reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A registry's host, a repository there, and a tag, a digest or both."""

    host: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as people write it; `app` is `docker.io/library/app:latest`.

        Raises InvalidReference.
        """
        name, digest = _split_digest(text)
        host, rest = _split_host(name, text)
        repository, colon, tag = rest.partition(":")
        _check(repository, tag if colon else None, text)
        if not colon and digest is None:
            tag = "latest"
        return cls(host=host, repository=repository, tag=tag, digest=digest)

    @property
    def name(self) -> str:
        """Host and repository, without tag and digest."""
        return f"{self.host}/{self.repository}"

    @property
    def target(self) -> str:
        """What a registry is asked for: the digest if there is one, else the tag."""
        return self.digest or self.tag

    @property
    def familiar(self) -> str:
        """As people write it, and Docker shows it: without what `parse` adds for Docker Hub."""
        return str(self).removeprefix(f"{_DOCKER_HUB}/").removeprefix("library/")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")


def _split_digest(text: str) -> tuple[str, Digest | None]:
    name, at, digest = text.partition("@")
    try:
        return name, Digest.parse(digest) if at else None
    except InvalidDigest as error:
        raise InvalidReference(f"not an image reference: {text!r} ({error})") from error


def _split_host(name: str, text: str) -> tuple[str, str]:
    """Part the host from the rest; what has neither a point nor a port is a name on Docker Hub."""
    if _IDENTIFIER.fullmatch(name):
        raise InvalidReference(f"not an image reference: {text!r} (it is an image's identifier)")
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not is_host:
        first, rest = _DOCKER_HUB, name
    elif _HOST.fullmatch(first) is None:
        raise InvalidReference(f"not an image reference: {text!r} ({first!r} is no host)")
    if first == _DOCKER_HUB_ALIAS:
        first = _DOCKER_HUB
    if first == _DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest


def _check(repository: str, tag: str | None, text: str) -> None:
    if _REPOSITORY.fullmatch(repository) is None:
        hint = "; it has to be lower-case" if repository != repository.lower() else ""
        problem = f"{repository!r} is no repository{hint}"
    elif len(repository) > _MAX_REPOSITORY:
        problem = f"the repository has more than {_MAX_REPOSITORY} characters"
    elif tag is not None and _TAG.fullmatch(tag) is None:
        problem = f"{tag!r} is no tag"
    else:
        return
    raise InvalidReference(f"not an image reference: {text!r} ({problem})")
