"""JSON objects whose values are kept as they are spelled, as Go keeps a json.RawMessage.

Go reads such an object into a map from key to bytes, and writes it with its keys sorted: what it
does not know goes through unchanged but for spaces and for the escapes that it adds.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cachexport.errors import WireFormat
from cachexport.oci import gojson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Numbers stay text: Python would refuse one of more than 4,300 digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=gojson.refuse_constant)
_SPACES = re.compile(r"[ \t\r\n]*")
_STRING_OR_SPACES = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+')


def loads(raw: bytes) -> dict[str, str]:
    """Give the members of a JSON object, each value as the text that it was; else WireFormat.

    Of several equal keys the last one counts. Bytes that are no UTF-8 are in the text as Python's
    error handler "surrogateescape" puts them, so that `dumps` can write them again.
    """
    text = raw.decode("utf-8", errors="surrogateescape")
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise WireFormat(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise WireFormat("wants an object, has another value")
    return dict(_members(text))


def dumps(members: Mapping[str, str]) -> bytes:
    """Write an object of such members: keys sorted, values without spaces, HTML escaped."""
    pairs = (f"{gojson.quote(key)}:{_compact(members[key])}" for key in sorted(members))
    return ("{" + ",".join(pairs) + "}").encode("utf-8", errors="surrogateescape")


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Part an object that is known to be JSON."""
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, end) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield gojson.clean(key), text[start:end]
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACES.match(text, at)
    assert match is not None
    return match.end()


def _compact(text: str) -> str:
    return gojson.escape_html(_STRING_OR_SPACES.sub(lambda match: match[1] or "", text))
