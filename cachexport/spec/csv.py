"""The syntax that BuildKit's tools share: one CSV record of `key=value`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Spec:
    """A backend's type and its attributes, as somebody wrote them."""

    type: str
    attrs: Mapping[str, str]
    text: str = ""
    """What was parsed, for messages."""

    def __str__(self) -> str:
        return self.text


def parse_spec(text: str) -> Spec:
    """Read `type=…,key=value,…`; one bare word is a registry reference.

    Keys are lower-cased, values keep their case; quotes as in RFC 4180; the last of several
    equal keys counts, as in BuildKit. Raises InvalidInputError.
    """
    words = _record(text)
    if len(words) == 1 and words[0] and "=" not in words[0]:
        return Spec("registry", MappingProxyType({"ref": words[0]}), text)
    attrs = dict(_pair(word, text) for word in words)
    kind = attrs.pop("type", "")
    if not kind:
        raise InvalidInputError(f"no type in {text!r} (for example type=local,dest=cache)")
    return Spec(kind, MappingProxyType(attrs), text)


def _record(text: str) -> list[str]:
    try:
        records = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise InvalidInputError(f"not a cache specification: {text!r} ({error})") from error
    if len(records) != 1 or not records[0]:
        raise InvalidInputError(f"not a cache specification: {text!r} (it is empty)")
    return records[0]


def _pair(word: str, text: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key.strip():
        raise InvalidInputError(f"not key=value: {word!r} in {text!r}")
    return key.strip().lower(), value
