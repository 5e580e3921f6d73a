"""The public side of the library as text, a line a name: what programs and plugins hold on to.

`python tests/public/surface.py > tests/public/api.txt` writes the committed copy anew. Where a
class lives is no part of it: a name may move inside the package as long as it is found here.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import importlib
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = ("cachexport", "cachexport.errors", "cachexport.plugin", "cachexport.testing")
_MODULE_PREFIX = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])")
# What makes an object usable by a statement or an operator, as a method of a name does.
_SPECIAL = {
    *("__call__", "__contains__", "__enter__", "__exit__", "__getitem__", "__iter__"),
    *("__len__", "__lt__", "__next__", "__setitem__"),
}


def public_lines() -> list[str]:
    """Give every public name with its kind and signature, sorted within its module."""
    lines: list[str] = []
    first_names: dict[int, str] = {}
    public = {id(thing) for module in MODULES for _, thing in _named(module)}
    for module in MODULES:
        for name, thing in _named(module):
            full = f"{module}.{name}"
            known = first_names.setdefault(id(thing), full) if callable(thing) else full
            if known == full:
                lines += _described(full, thing, public)
            else:
                lines.append(f"{full} is {known}")
    return lines


def _named(module: str) -> list[tuple[str, Any]]:
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, thing in vars(found).items()
        if isinstance(thing, type) and thing.__module__ == module
    ]
    return [(name, getattr(found, name)) for name in sorted(names)]


def _described(full: str, thing: Any, public: set[int]) -> Iterator[str]:
    if isinstance(thing, type):
        yield f"{full}: {_kind(thing)}{_bases(thing, public)}{_constructor(thing)}"
        for name, text in sorted(_members(thing, public).items()):
            yield f"{full}.{name}: {text}"
    elif callable(thing):
        yield f"{full}: {_function_kind(thing)}{_signature(thing)}"
    else:
        yield f"{full}: {type(thing).__name__} = {thing!r}"


def _kind(thing: type) -> str:
    if issubclass(thing, Exception):
        return f"error with exit code {getattr(thing, 'exit_code', None)}"
    if issubclass(thing, enum.Enum):
        return "enum"
    if getattr(thing, "_is_protocol", False):
        checkable = getattr(thing, "_is_runtime_protocol", False)
        return "protocol for isinstance" if checkable else "protocol"
    if dataclasses.is_dataclass(thing):
        frozen = thing.__dataclass_params__.frozen
        return "frozen dataclass" if frozen else "dataclass"
    return "class"


def _bases(thing: type, public: set[int]) -> str:
    """Name the classes that an instance is one of, as far as a caller can know them."""
    known = [
        base.__name__
        for base in thing.__mro__[1:]
        if base not in (object, Exception, BaseException) and base.__module__ != "typing"
        if id(base) in public or not _ours(base)
    ]
    return f" of {', '.join(known)}" if known else ""


def _ours(thing: type) -> bool:
    return thing.__module__.split(".")[0] == "cachexport"


def _constructor(thing: type) -> str:
    makers = ("__init__", "__new__")
    own = any(maker in vars(base) for base in thing.__mro__ if _ours(base) for maker in makers)
    if not own or issubclass(thing, enum.Enum) or getattr(thing, "_is_protocol", False):
        return ""
    return f" {_signature(thing)}"


def _members(thing: type, public: set[int]) -> dict[str, str]:
    """Give what the class adds to its public bases; those have lines of their own."""
    listed = {each for base in thing.__mro__[1:] if id(base) in public for each in base.__mro__}
    found: dict[str, str] = {}
    for base in reversed(thing.__mro__):
        if _ours(base) and base not in listed:
            found |= dict.fromkeys(_set_by_constructor(base), "attribute")
            for name, annotation in inspect.get_annotations(base).items():
                found[name] = f"attribute {_annotation(annotation)}"
            for name, value in vars(base).items():
                found[name] = _member(value) or found.get(name, f"attribute = {value!r}")
    return {name: text for name, text in found.items() if _shown(name)}


def _shown(name: str) -> bool:
    return name in _SPECIAL or not name.startswith(("_", "test_"))


def _set_by_constructor(thing: type) -> Iterator[str]:
    if inspect.isfunction(vars(thing).get("__init__")) and not dataclasses.is_dataclass(thing):
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing.__init__)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.attr


def _member(value: Any) -> str:
    """Say what a class has under a name; empty for what its annotation or value says."""
    if isinstance(value, property):
        writable = " that can be set" if value.fset else ""
        given = inspect.get_annotations(value.fget).get("return") if value.fget else None
        return f"property {_annotation(given)}{writable}"
    if isinstance(value, functools.cached_property):
        return f"property {_annotation(inspect.get_annotations(value.func).get('return'))}"
    if isinstance(value, classmethod | staticmethod):
        return f"{type(value).__name__}{_signature(value.__func__)}"
    if type(value).__name__ == "FixtureFunctionDefinition" or hasattr(
        value, "_pytestfixturefunction"
    ):
        return f"fixture{_signature(inspect.unwrap(value))}"
    if inspect.isfunction(value):
        return f"{_function_kind(value, 'method')}{_signature(value)}"
    return ""


def _function_kind(function: Any, plain: str = "function") -> str:
    wrapped = getattr(function, "__wrapped__", None)
    managed = inspect.isgeneratorfunction(wrapped) and not inspect.isgeneratorfunction(function)
    return "context manager" if managed else plain


class _Text:
    """Is shown in a signature as it is, without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [
        each.replace(annotation=_note(each.annotation), default=_default(each.default))
        for each in signature.parameters.values()
    ]
    given = _note(signature.return_annotation)
    return str(signature.replace(parameters=parameters, return_annotation=given))


def _note(annotation: Any) -> Any:
    if annotation is inspect.Signature.empty:
        return annotation
    return _Text(_annotation(annotation))


def _annotation(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _MODULE_PREFIX.sub("", text)


def _default(value: Any) -> Any:
    """Show a default that is a function or a class by its name: its address says nothing."""
    if value is inspect.Parameter.empty:
        return value
    if value is dataclasses.MISSING:
        return _Text("MISSING")
    return _Text(getattr(value, "__name__", None) or repr(value))


if __name__ == "__main__":
    print("\n".join(public_lines()))
