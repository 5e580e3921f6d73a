"""Reading attributes into a frozen data class. Code behind it never sees unchecked text."""

from __future__ import annotations

import dataclasses
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cachexport.contract.spec import is_secret, without_password
from cachexport.errors import InvalidAttr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cachexport.contract.spec import Spec

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: its name, how its text is read (or ValueError raised), a summary."""

    name: str
    read: Callable[[str], Any]
    summary: str

    @property
    def stem(self) -> str:
        """What the names of a family begin with, as `option.` for `option.*`; else nothing."""
        return self.name[:-1] if self.name.endswith(".*") else ""


def attribute(
    name: str,
    read: Callable[[str], Any] = str,
    *,
    summary: str,
    default: Any = dataclasses.MISSING,
) -> Any:
    """Declare a field of a data class as the attribute `name`; without default it must be given.

    A name such as `option.*` is that of a family: the field is a mapping of what stands for the
    asterisk, in all names that were given, to what was read of each, empty where there are none.
    """
    metadata = {"attribute": Attribute(name, read, summary)}
    return dataclasses.field(default=default, metadata=metadata)


def boolean(text: str) -> bool:
    """Read a boolean as Go's ParseBool does."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("wants true or false")


def flag(text: str) -> bool:
    """Read a boolean; empty text means true."""
    return boolean(text) if text else True


def integer(text: str) -> int:
    """Read an integer as Go's ParseInt does: digits, and a sign before them."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
        raise ValueError("wants an integer")
    return int(text)


def path(text: str) -> str:
    """Read a path, which cannot be empty."""
    if not text or "\0" in text:
        raise ValueError("wants a path")
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a reader that accepts only these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"wants one of {', '.join(choices)}")
        return text

    return read


def known_attributes(kind: type) -> dict[str, Attribute]:
    """Give the attributes that a data class declares, by name, in their order."""
    return {declared.name: declared for _, declared in _declared(kind)}


def read_attributes(kind: type[_T], spec: Spec, *, ignored: Iterable[str] = ()) -> _T:
    """Read the attributes of `spec` into the data class `kind`.

    Those in `ignored` (the other direction's, BuildKit's own) are accepted with a note in the
    log: people paste one string into both flags. Raises InvalidAttr for any other unknown one,
    for a bad value and for a missing one.
    """
    known = known_attributes(kind)
    _check_names(spec, known, frozenset(ignored))
    values = {}
    for field, declared in _declared(kind):
        if declared.stem:
            values[field.name] = _read_family(declared, spec)
        elif declared.name in spec.attrs:
            values[field.name] = _read(declared.name, declared, spec)
        elif field.default is dataclasses.MISSING:
            message = f"{spec} needs {declared.name}= ({declared.summary})"
            raise InvalidAttr(declared.name, message)
    return kind(**values)


def _declared(kind: type) -> list[tuple[dataclasses.Field[Any], Attribute]]:
    fields = dataclasses.fields(kind)
    return [(field, field.metadata["attribute"]) for field in fields if field.metadata]


def _check_names(spec: Spec, known: Iterable[str], ignored: frozenset[str]) -> None:
    for name in spec.attrs:
        meant = {name, _family(name)}
        if meant & set(known):
            continue
        if not meant & ignored:
            words = ", ".join(known)
            raise InvalidAttr(name, f"unknown attribute {name!r} in {spec} (known: {words})")
        _log.info("%s: attribute %s has no effect here", spec, name)


def _family(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{first}.*" if first and rest else name


def _read_family(declared: Attribute, spec: Spec) -> dict[str, Any]:
    return {
        name.removeprefix(declared.stem): _read(name, declared, spec)
        for name in spec.attrs
        if name.startswith(declared.stem)
    }


def _read(name: str, declared: Attribute, spec: Spec) -> Any:
    text = spec.attrs[name]
    try:
        return declared.read(text)
    except ValueError as error:
        shown = "***" if is_secret(name) else repr(without_password(text))
        message = without_password(f"bad value {shown} for attribute {name}: {error}")
        raise InvalidAttr(name, message) from error
