"""How references map to the names of a place, and in which form each cache is served."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from cachexport.errors import InvalidInputError, InvalidReference
from cachexport.model.envelope.manifest import (
    Form,
)
from cachexport.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable


PLAIN = "cache"
"""The repository of names that have no slash."""
_OURS = "cachexport/images/"
_HOST = "gateway.invalid"
_PARTS = re.compile(r"(.+)/([^/]+)")


class Naming(Protocol):
    """Maps references to names of a place, and back."""

    def name(self, repository: str, tag: str, /) -> str:
        """Give the name of a reference. Raises InvalidReference when it has none."""

    def reference(self, name: str, /) -> tuple[str, str] | None:
        """Give the repository and tag of a name; None when it has no reference."""


@dataclass(frozen=True, slots=True)
class ByPath:
    """`team/app:cache` is the name `team/app/cache`, and `cache:main` is `main`."""

    def name(self, repository: str, tag: str, /) -> str:
        """See Naming."""
        check_reference(repository, tag)
        if f"{repository}/".startswith(_OURS):
            raise InvalidReference(f"{_OURS} is where buckets keep images, so choose another name")
        return tag if repository == PLAIN else f"{repository}/{tag}"

    def reference(self, name: str, /) -> tuple[str, str] | None:
        """See Naming."""
        found = _PARTS.fullmatch(name)
        repository, tag = (found[1], found[2]) if found else (PLAIN, name)
        try:
            return (repository, tag) if self.name(repository, tag) == name else None
        except InvalidReference:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One name of a place, however it is spelled, under one reference."""

    repository: str
    tag: str
    target: str
    """The name in the place."""

    def name(self, repository: str, tag: str, /) -> str:
        """See Naming."""
        if (repository, tag) != (self.repository, self.tag):
            known = f"{self.repository}:{self.tag}"
            raise InvalidReference(f"{repository}:{tag} is not served here, {known} is")
        return self.target

    def reference(self, name: str, /) -> tuple[str, str] | None:
        """See Naming."""
        return (self.repository, self.tag) if name == self.target else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """All tags of one repository, as names below one name.

    Tools that push an image for each step, under a tag that they make up, need this.
    """

    repository: str
    target: str
    """The name above them, without a slash."""

    def name(self, repository: str, tag: str, /) -> str:
        """See Naming."""
        check_reference(repository, tag)
        if repository != self.repository:
            raise InvalidReference(f"{repository} is not served here, {self.repository} is")
        return f"{self.target}/{tag}"

    def reference(self, name: str, /) -> tuple[str, str] | None:
        """See Naming."""
        start = f"{self.target}/"
        return (self.repository, name.removeprefix(start)) if name.startswith(start) else None


def check_reference(repository: str, tag: str | None = None) -> None:
    """Raise InvalidReference unless registries allow this repository and this tag."""
    text = f"{_HOST}/{repository}" + ("" if tag is None else f":{tag}")
    found = Reference.parse(text)
    if (found.repository, found.digest) != (repository, None):
        raise InvalidReference(f"not a repository: {repository!r}")


@dataclass(frozen=True, slots=True)
class Forms:
    """Rules of forms: the first whose pattern matches `repository:tag` counts.

    Docker 20.10, for one, imports no cache in an image manifest.
    """

    rules: tuple[tuple[str, Form], ...] = ()

    def of(self, repository: str, tag: str) -> Form | None:
        """Give the form to serve a cache in; None for the one that it has."""
        reference = f"{repository}:{tag}"
        return next((form for pattern, form in self.rules if fnmatchcase(reference, pattern)), None)


def read_forms(texts: Iterable[str]) -> Forms:
    """Read `PATTERN=FORM`, or `FORM` for all other names. Raises InvalidInputError."""
    rules = [_rule(text) for text in texts]
    return Forms(tuple(sorted(rules, key=lambda rule: rule[0] == "*")))


def _rule(text: str) -> tuple[str, Form]:
    pattern, equals, form = text.rpartition("=")
    try:
        return (pattern if equals else "*"), Form(form)
    except ValueError:
        known = ", ".join(Form)
        raise InvalidInputError(f"no form of caches: {form!r} (known: {known})") from None
