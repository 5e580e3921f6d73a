"""Opening the places that specifications name."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from cachexport.contract.backend import ManyNamed
from cachexport.contract.discovery import find_backend
from cachexport.contract.opening import expand
from cachexport.contract.spec import parse_spec
from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from cachexport.contract.backend import Source, Target
    from cachexport.contract.spec import Spec

_End = TypeVar("_End", "Source", "Target")


def open_source(text: str | Spec) -> Source:
    """Give the source that a `--cache-from` describes; the caller closes it."""
    spec = parse_spec(text)
    return find_backend(spec.type).source(spec)


def open_targets(text: str | Spec) -> list[tuple[str, Target]]:
    """Give the targets that a `--cache-to` describes, one for each name, and how each is called.

    The caller closes them.
    """
    spec = parse_spec(text)
    backend = find_backend(spec.type)
    several = backend.split(spec) if isinstance(backend, ManyNamed) else (spec,)
    return [(str(one), backend.target(one)) for one in several]


def opened(stack: ExitStack, sources: Sequence[str | Spec]) -> list[tuple[str, Source]]:
    """Open the sources of specifications, several where one has a pattern, until the stack ends."""
    if isinstance(sources, str):
        raise InvalidInputError("sources are a list of specifications")
    expanded = [spec for text in sources for spec in expand(text)]
    return [named(stack, str(spec), open_source(spec)) for spec in expanded]


def named(stack: ExitStack, name: str, end: _End) -> tuple[str, _End]:
    """Give an end with its name for messages; it is closed with the stack."""
    return name, stack.enter_context(closing(end))
