"""How references stand for the names of a place, and in which form its caches are served."""

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
    """Which name a tag of a repository means."""

    def name(self, repository: str, tag: str, /) -> str:
        """Give the name that a reference means. Raises InvalidReference for one that means none."""

    def reference(self, name: str, /) -> tuple[str, str] | None:
        """Give repository and tag of a name; None for a name that has no reference."""


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
    """One name of a place, whatever it is, under one reference."""

    repository: str
    tag: str
    target: str
    """The name that is meant."""

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
    """All tags of one repository, as names that begin with the same one.

    That is what tools need which push an image for each step, under a tag that they make up.
    """

    repository: str
    target: str
    """What the names begin with, before a slash."""

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
    """Raise InvalidReference unless these are a repository and a tag as registries have them."""
    text = f"{_HOST}/{repository}" + ("" if tag is None else f":{tag}")
    found = Reference.parse(text)
    if (found.repository, found.digest) != (repository, None):
        raise InvalidReference(f"not a repository: {repository!r}")


@dataclass(frozen=True, slots=True)
class Forms:
    """Rules, of which the first counts whose pattern matches `repository:tag`."""

    rules: tuple[tuple[str, Form], ...] = ()

    def of(self, repository: str, tag: str) -> Form | None:
        """Give the form that is wanted; None for the one that the cache has."""
        reference = f"{repository}:{tag}"
        return next((form for pattern, form in self.rules if fnmatchcase(reference, pattern)), None)


def read_forms(texts: Iterable[str]) -> Forms:
    """Read `FORM`, which is for all others, or `PATTERN=FORM`. Raises InvalidInputError."""
    rules = [_rule(text) for text in texts]
    return Forms(tuple(sorted(rules, key=lambda rule: rule[0] == "*")))


def _rule(text: str) -> tuple[str, Form]:
    pattern, equals, form = text.rpartition("=")
    try:
        return (pattern if equals else "*"), Form(form)
    except ValueError:
        known = ", ".join(Form)
        raise InvalidInputError(f"no form of caches: {form!r} (known: {known})") from None
