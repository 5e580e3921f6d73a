"""In which form a cache is served: Docker 20.10 reads no image manifests of caches."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError
from cachexport.model.envelope.manifest import (
    Form,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


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
