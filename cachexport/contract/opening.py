"""Open what a specification names: a source, targets, a whole place, all matches of a pattern."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from cachexport.contract.backend import ManyNamed
from cachexport.contract.discovery import find_backend
from cachexport.contract.place import PlaceBackend
from cachexport.contract.spec import Spec, parse_spec
from cachexport.contract.units import count
from cachexport.errors import InvalidAttr, InvalidInputError, NotFound, PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from cachexport.contract.backend import Source, Target
    from cachexport.contract.place import Place

_End = TypeVar("_End", "Source", "Target")

_WILD = frozenset("*?[")
_NEWEST = "newest"


def open_source(text: str | Spec) -> Source:
    """Open the source that a `--cache-from` describes; the caller closes it."""
    spec = parse_spec(text)
    return find_backend(spec.type).source(spec)


def open_targets(text: str | Spec) -> list[tuple[str, Target]]:
    """Open the targets that a `--cache-to` describes, one for each name.

    Each comes with its specification, for messages. The caller closes them.
    """
    spec = parse_spec(text)
    backend = find_backend(spec.type)
    several = backend.split(spec) if isinstance(backend, ManyNamed) else (spec,)
    return [(str(one), backend.target(one)) for one in several]


def open_sources(stack: ExitStack, sources: Sequence[str | Spec]) -> list[tuple[str, Source]]:
    """Open a source for each specification, or each match of a pattern. The stack closes them."""
    if isinstance(sources, str):
        raise InvalidInputError("sources are a list of specifications")
    expanded = [spec for text in sources for spec in expand(text)]
    return [enter(stack, str(spec), open_source(spec)) for spec in expanded]


def enter(stack: ExitStack, name: str, end: _End) -> tuple[str, _End]:
    """Have the stack close a source or target; give it with `name`, for messages."""
    return name, stack.enter_context(closing(end))


def open_place(text: str | Spec) -> Place:
    """Open the place that a specification is in; the caller closes it.

    Raises PluginError if the backend is not a PlaceBackend.
    """
    spec = _without_newest(parse_spec(text))
    return _place_backend(spec).place(spec)


def name_of(text: str | Spec) -> str:
    """Give the name, or the pattern of names, that a specification has.

    Raises InvalidAttr for one that names a digest.
    """
    spec = parse_spec(text)
    name = _place_backend(spec).name(spec)
    if name is None:
        raise InvalidAttr("digest", f"{spec} names a digest; give a name")
    return name


def has_pattern(text: str | Spec) -> bool:
    """Say whether the name in a specification is a pattern."""
    spec = parse_spec(text)
    backend = find_backend(spec.type)
    name = backend.name(spec) if isinstance(backend, PlaceBackend) else None
    return bool(name and _WILD & set(name))


def expand(text: str | Spec) -> list[Spec]:
    """Expand a pattern to a specification for each cache whose name matches, newest first.

    If a name is exactly the pattern's text, it alone is used. The attribute `newest` limits how
    many. A specification without a pattern is given as it is. Raises NotFound when nothing matches.
    """
    spec = parse_spec(text)
    if not has_pattern(spec):
        if _NEWEST in spec.attrs:
            raise InvalidAttr(_NEWEST, f"newest= needs a pattern for a name, such as pr-*: {spec}")
        return [spec]
    from cachexport.contract.names import pool

    with closing(open_place(spec)) as place:
        found = pool(place, name_of(spec), _newest(spec))
        if not found:
            raise NotFound(f"no cache in {place.title} matches {name_of(spec)!r}")
        return [place.source(each) for each in found]


def _newest(spec: Spec) -> int | None:
    text = spec.attrs.get(_NEWEST)
    try:
        return None if text is None else count(text)
    except ValueError as error:
        raise InvalidAttr(_NEWEST, f"bad value {text!r} for attribute newest: {error}") from error


def _without_newest(spec: Spec) -> Spec:
    return Spec(spec.type, {key: text for key, text in spec.attrs.items() if key != _NEWEST})


def _place_backend(spec: Spec) -> PlaceBackend:
    backend = find_backend(spec.type)
    if not isinstance(backend, PlaceBackend):
        raise PluginError(
            f"the backend for type={spec.type} cannot list what else is where {spec} is; ask its "
            "authors for a method `place`"
        )
    return backend
