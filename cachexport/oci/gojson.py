"""JSON as Go's encoding/json reads and writes it; a digest is of the bytes, so each one counts."""

from __future__ import annotations

import binascii
import codecs
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from cachexport.errors import WireFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_SPECIAL = re.compile("[<>&\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_INT = 2**63 - 1


class Float(str):
    """A number that is no integer, kept as it was spelled: `0.0` is none to Go."""

    __slots__ = ()


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


def refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's decoder would take: for its `parse_constant`."""
    raise ValueError(f"{text} is not JSON")


codecs.register_error("cachexport.gojson", _replace_each_byte)
_DECODER = json.JSONDecoder(parse_float=Float, parse_constant=refuse_constant)


def loads(raw: bytes) -> Any:
    """Parse JSON; WireFormat when it is none.

    As in Go, bytes that are no UTF-8 become U+FFFD each. A number with a point or an exponent
    comes as `Float`.
    """
    text = raw.decode("utf-8", errors="cachexport.gojson")
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise WireFormat(f"not JSON: {error}") from error


def quote(text: str) -> str:
    """Write a string as Go's encoder does, HTML characters escaped."""
    return escape_html(json.dumps(clean(text), ensure_ascii=False))


def escape_html(text: str) -> str:
    """Escape in JSON what Go's encoder does so that a page can hold it."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda match: _HTML[match[0]], text)


def quote_map(values: Mapping[str, str]) -> str:
    """Write strings by name, the names sorted, as Go's encoder writes a map."""
    pairs = (f"{quote(key)}:{quote(values[key])}" for key in sorted(values))
    return "{" + ",".join(pairs) + "}"


def clean(text: str) -> str:
    """Replace lone surrogates by U+FFFD, as Go's decoder does."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def fields(value: Any, names: frozenset[str], path: str) -> dict[str, Any]:
    """Give the members of a JSON object that Go would put into a struct with these field names.

    Go takes a key in any case; it ignores what it does not know. `null` leaves a struct as it is:
    empty. Of several equal keys the last one counts; Go merges them, and nobody writes such.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WireFormat(f"wants an object, has {_kind(value)}", path)
    if value.keys() <= names:
        return value
    folded = {name.casefold(): name for name in names}
    known = ((folded.get(key.casefold()), key, item) for key, item in value.items())
    # Go folds letter by letter: a ligature is not the letters that it stands for.
    return {name: item for name, key, item in known if name and len(name) == len(key)}


def array(value: Any, path: str) -> list[Any]:
    """Give a JSON array's items; `null` and an absent one have none."""
    return [] if value is None else _expect(value, list, "an array", path)


def each(value: Any, name: str, read: Callable[[Any], _T]) -> list[_T]:
    """Read every item of the array that stands in field `name`."""
    items: list[_T] = []
    try:
        for item in array(value, ""):
            items.append(read(item))  # noqa: PERF401 - the count tells where it failed
    except WireFormat as error:
        raise error.under(f"{name}[{len(items)}]" if isinstance(value, list) else name) from None
    return items


def string(value: Any, path: str) -> str:
    """Give a JSON string; `null` and an absent one are empty."""
    if isinstance(value, Float):
        raise WireFormat("wants a string, has a number", path)
    return "" if value is None else clean(_expect(value, str, "a string", path))


def string_map(value: Any, path: str) -> dict[str, str]:
    """Give a JSON object of strings; `null` and an absent one are empty."""
    members = {} if value is None else _expect(value, dict, "an object", path)
    return {clean(key): string(item, f"{path}[{key!r}]") for key, item in members.items()}


def integer(value: Any, path: str) -> int:
    """Give a JSON integer of 64 bits; `null` and an absent one are 0."""
    if value is None:
        return 0
    if type(value) is not int:
        raise WireFormat(f"wants an integer, has {_kind(value)}", path)
    if not -_MAX_INT - 1 <= value <= _MAX_INT:
        raise WireFormat(f"integer does not fit 64 bits: {value}", path)
    return value


def boolean(value: Any, path: str) -> bool:
    """Give a JSON boolean; `null` and an absent one are false."""
    return False if value is None else _expect(value, bool, "a boolean", path)


def base64(value: Any, path: str) -> bytes:
    """Give the bytes that a JSON string has in base64, which may be broken into lines."""
    text = string(value, path).replace("\r", "").replace("\n", "")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise WireFormat(f"not base64: {error}", path) from error


def _expect(value: Any, kind: type[_T], name: str, path: str) -> _T:
    if not isinstance(value, kind):
        raise WireFormat(f"wants {name}, has {_kind(value)}", path)
    return value


def _kind(value: Any) -> str:
    if isinstance(value, Float):
        return f"the number {value}"
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), f"the number {value}")
