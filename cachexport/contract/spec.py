"""The syntax that BuildKit's tools share: one CSV record of `key=value`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping


# A word is quoted as a whole or has no quote at all, as in RFC 4180.
_FIELD = r'(?:"(?:[^"]|"")*"|[^",]*)'
_RECORD = re.compile(f"{_FIELD}(?:,{_FIELD})*")
_WORD = re.compile(f"(?:^|,)({_FIELD})")
_PASSWORD = re.compile(r":[^:/@\s]*@(?!sha\d{3}:)")
_SECRETS = ("secret", "token", "password")


@dataclass(frozen=True, slots=True)
class Spec:
    """A backend's type and its attributes, as somebody wrote them.

    As text it is fit for messages and logs: values that are secrets are replaced by asterisks.
    """

    type: str
    attrs: Mapping[str, str]

    def __str__(self) -> str:
        shown = {
            key: "***" if is_secret(key) else without_password(value)
            for key, value in self.attrs.items()
        }
        words = [f"{key}={value}" for key, value in {"type": self.type, **shown}.items()]
        return ",".join(map(_quoted, words))


def is_secret(name: str) -> bool:
    """Tell whether the value of an attribute with this name is kept out of messages."""
    return any(word in name for word in _SECRETS)


def without_password(text: str) -> str:
    """Give a text for messages: what stands for a password before an `@` is left out."""
    return _PASSWORD.sub(":***@", text)


def parse_spec(text: str | Spec) -> Spec:
    """Read `type=…,key=value,…`; one bare word is a registry reference. A Spec stays as it is.

    Keys are lower-cased, values keep their case; quotes as in RFC 4180; the last of several
    equal keys counts, as in BuildKit. Raises InvalidInputError.
    """
    if isinstance(text, Spec):
        return text
    words = _record(text)
    if len(words) == 1 and words[0] and "=" not in words[0]:
        return Spec("registry", MappingProxyType({"ref": words[0]}))
    attrs = dict(map(_pair, words))
    kind = attrs.pop("type", "")
    if not kind:
        keys = ", ".join(attrs)
        raise InvalidInputError(f"the type is missing before {keys} (such as type=local)")
    return Spec(kind, MappingProxyType(attrs))


def _record(text: object) -> list[str]:
    if not isinstance(text, str):
        kind = type(text).__name__
        raise InvalidInputError(f"a cache is named by text (type=local,dest=out), not by a {kind}")
    if not text:
        raise InvalidInputError("not a cache specification: it is empty")
    if _RECORD.fullmatch(text) is None:
        # Python's csv module reads key="value" with the quotes as part of the value.
        raise InvalidInputError(
            "not a cache specification: a quote stands around a whole key=value or is doubled "
            """within one, as in type=local,"dest=a,b\""""
        )
    words = (match[1] for match in _WORD.finditer(text))
    return [word[1:-1].replace('""', '"') if word[:1] == '"' else word for word in words]


def _pair(word: str) -> tuple[str, str]:
    if not word:
        raise InvalidInputError("not a cache specification: nothing stands beside a comma")
    key, equals, value = word.partition("=")
    if not equals or not key.strip():
        raise InvalidInputError(f"not key=value in a cache specification: {word!r}")
    return key.strip().lower(), value


def _quoted(word: str) -> str:
    if not set(word) & {",", '"', "\n", "\r"}:
        return word
    return '"' + word.replace('"', '""') + '"'
