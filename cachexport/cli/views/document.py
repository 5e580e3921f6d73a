"""Documents: data classes that become JSON, and whose fields the help lists.

A field's name is its key; an underscore at its end, as in `from_`, is left out. An `Annotated` text
is a remark for the help. `{}` in it stands for the fields of the data class that the field holds,
which has no line of its own then. An `Annotated` Line is a line of its own.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import groupby
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
_WIDTH = 70
_PLAIN = frozenset({str, int, float, bool, NoneType})


class Line(str):
    """A line of the help for a field that holds no data class."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobView:
    """A manifest or a config; `size` is in bytes."""

    media_type: str
    digest: str
    size: int


def json_lines(document: object) -> Iterator[str]:
    """Give a document as JSON, its keys in the order of the fields."""
    yield json.dumps(_plain(document), indent=2)


def _plain(value: Any) -> Any:
    """Give a document as dictionaries and lists: json is slow at asking for each of its parts."""
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return [_plain(item) for item in value]
    if is_dataclass(kind):
        return {key: _plain(getattr(value, name)) for key, name in _keys(kind)}  # type: ignore[arg-type]
    return value


@cache
def _keys(kind: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_key(name), name) for name in _fields(kind))


def filled(kind: type[T], item: object, **given: object) -> T:
    """Make a document of `given`, and for its other fields of the attributes of `item`.

    Whatever a field holds becomes the data class that the field wants, by its `of` if it has one;
    times become text, and an empty text is None where the field may be None.
    """
    values = {}
    for key, field in _fields(kind).items():  # type: ignore[arg-type]
        value = given[key] if key in given else getattr(item, key)
        if value == "" and field.is_nullable and key not in given:
            value = None
        values[key] = value if value.__class__ in _PLAIN else _held(field.kind, value)
    return kind(**values)


def _held(kind: Any, value: Any) -> Any:
    if isinstance(value, Timestamp):
        return str(value)
    if kind is None or value is None or isinstance(value, kind):
        return value
    if isinstance(value, tuple | list):
        return tuple([_held(kind, item) for item in value])
    return kind.of(value) if hasattr(kind, "of") else filled(kind, value)


def field_lines(document: type, column: int) -> Iterator[str]:
    """List for the help the fields of a document, and of each data class in it, in their order.

    `column` is where the fields begin, behind the name of what has them.
    """
    shown = list(_fields(document).values())
    inline = set(_inline(document))
    # The document's own fields are listed from the first one that has no line of its own.
    bare = [number for number, field in enumerate(shown) if not field.has_line(inline)]
    first = bare[0] if bare else len(shown)
    yield from _blocks(shown[:first], inline, column)
    yield from _wrapped("", _listed(shown[first:]), 0)
    yield from _blocks(shown[first:], inline, column)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    """With brackets if it is a list. A list of numbers has none: it counts in another list."""
    kind: type | None
    """The data class that it holds."""
    remark: str
    is_nullable: bool

    def has_line(self, inline: set[type]) -> bool:
        return isinstance(self.remark, Line) or bool(self.kind and self.kind not in inline)


@cache
def _fields(kind: Any) -> dict[str, _Field]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _field(_key(field.name), hints[field.name]) for field in fields(kind)}


def _field(name: str, hint: Any) -> _Field:
    remark = ""
    if get_origin(hint) is Annotated:
        hint, remark = get_args(hint)
    is_nullable = NoneType in get_args(hint)
    if is_nullable:
        [hint] = (item for item in get_args(hint) if item is not NoneType)
    depth = 0
    while get_origin(hint) is tuple:
        hint, depth = get_args(hint)[0], depth + 1
    brackets = "" if hint is int else "[]" * depth
    return _Field(name + brackets, _data_class(hint), remark, is_nullable)


def _data_class(hint: Any) -> type | None:
    return hint if isinstance(hint, type) and is_dataclass(hint) else None


def _inline(kind: type) -> Iterator[type]:
    for field in _fields(kind).values():
        if field.kind:
            if "{}" in field.remark:
                yield field.kind
            yield from _inline(field.kind)


def _blocks(shown: Iterable[_Field], inline: set[type], column: int) -> Iterator[str]:
    """Give the lines of fields that have one; neighbours that hold the same share it."""
    having = [field for field in shown if field.has_line(inline)]
    for (kind, _, line), group in groupby(having, key=_likeness):
        heading = ", ".join(field.name for field in group)
        if kind is None:
            yield heading.ljust(column) + line
        else:
            yield from _wrapped(heading, _listed(_fields(kind).values()), column)
            yield from _blocks(_fields(kind).values(), inline, column)


def _likeness(field: _Field) -> tuple[type | None, int, str]:
    return field.kind, field.name.count("[]"), field.remark if field.kind is None else ""


def _listed(shown: Iterable[_Field]) -> str:
    return ", ".join(field.name + _remark(field) for field in shown)


def _remark(field: _Field) -> str:
    if not field.remark or isinstance(field.remark, Line):
        return ""
    return f" ({field.remark.format(_listed(_fields(field.kind).values()) if field.kind else '')})"


def _wrapped(heading: str, text: str, column: int) -> list[str]:
    """Wrap `text` behind `heading`, or below one that is too long to stand before `column`."""
    above = [heading] if len(heading) > column - 2 > 0 else []
    before = "" if above else heading
    return above + textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=before.ljust(column),
        subsequent_indent=" " * column,
        break_on_hyphens=False,
    )


def _key(name: str) -> str:
    return name.removesuffix("_")
