"""What backends are and can do: the installed ones, and what an examination found."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Self

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.document import Line, filled
from cachexport.cli.views.text import aligned, bold, counted
from cachexport.contract.checks import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.contract.checks import Finding
    from cachexport.contract.discovery import KnownAttribute, Plugin
    from cachexport.doctor.engine import Diagnosis, Examined


_HEADINGS = ("TYPE", "PACKAGE", "VERSION", "READY", "FAULT")
_ATTRIBUTE_HEADINGS = ("ATTRIBUTE", "FOR", "MEANING")


def plugin_lines(found: Sequence[Plugin], width: int | None) -> Iterator[str]:
    """Give a line for each backend."""
    yield from aligned([_HEADINGS, *map(_row, found)], width=width)


def attribute_lines(plugin: Plugin, width: int | None) -> Iterator[str]:
    """Give a line for the backend and one for each of its attributes."""
    where = f"{plugin.package} {plugin.version}".strip()
    yield in_line(f"type={plugin.type}, from {where or 'an unknown package'}")
    if plugin.fault:
        yield in_line(f"cannot be used: {plugin.fault}")
    if plugin.attributes:
        rows = [(each.name, _ways(each), each.summary) for each in plugin.attributes]
        yield ""
        yield from aligned([_ATTRIBUTE_HEADINGS, *rows], width=width)


def _row(plugin: Plugin) -> tuple[str, ...]:
    ready = "no" if plugin.fault else "yes"
    package, version = plugin.package or "-", plugin.version or "-"
    return plugin.type, in_line(package), in_line(version), ready, in_line(plugin.fault)


def _ways(attribute: KnownAttribute) -> str:
    if attribute.source and attribute.target:
        return "both"
    return "from" if attribute.source else "to"


_COLOURS = {
    Outcome.OK: "green",
    Outcome.NOTE: "cyan",
    Outcome.WARNING: "yellow",
    Outcome.FAILED: "red",
    Outcome.SKIPPED: "bright_black",
}
_OUTCOME = max(map(len, Outcome))
_GAP = "  "
_ARROW = "-> "
_MOST = 100
"""Columns beyond which a line is hard to read."""
_LEAST = 24
"""Columns that a finding gets at least, however narrow the terminal."""


class DiagnosisTable:
    """A table whose rows are written one by one; a long finding is wrapped, advice below it.

    Checks that were skipped one after another for one reason share a row.
    """

    def __init__(self, names: Sequence[str], width: int) -> None:
        self._name = max(map(len, (*names, _several(len(names)))))
        self._indent = " " * (_OUTCOME + self._name + 2 * len(_GAP))
        self._room = max(min(width, _MOST) - len(self._indent), _LEAST)
        self._skipped: list[Examined] = []

    def head(self, target: str) -> Iterator[str]:
        """Give what stands above the rows."""
        yield bold(printable(target))
        yield ""

    def rows(self, result: Examined) -> Iterator[str]:
        """Give the lines for one check, or none yet where the next one may share its row."""
        if self._skipped and result.finding != self._skipped[0].finding:
            yield from self._flush()
        if result.finding.outcome is Outcome.SKIPPED:
            self._skipped.append(result)
        else:
            yield from self._row(result.check, result.finding)

    def foot(self, diagnosis: Diagnosis) -> Iterator[str]:
        """Give what stands below the rows."""
        yield from self._flush()
        counts = [(outcome, diagnosis.count(outcome)) for outcome in Outcome]
        told = [_counted(outcome, count) for outcome, count in counts if count]
        yield ""
        yield f"{counted(len(diagnosis.results), 'check')}: {', '.join(told)}"

    def _flush(self) -> Iterator[str]:
        skipped, self._skipped = self._skipped, []
        if not skipped:
            return
        names, finding = [result.check for result in skipped], skipped[0].finding
        if len(names) == 1:
            yield from self._row(names[0], finding)
        else:
            text = f"{', '.join(names)}: {finding.text}"
            yield from self._row(_several(len(names)), replace(finding, text=text))

    def _row(self, name: str, finding: Finding) -> Iterator[str]:
        outcome = click.style(f"{finding.outcome:<{_OUTCOME}}", fg=_COLOURS[finding.outcome])
        first, *others = _wrapped(finding.text, self._room)
        yield f"{outcome}{_GAP}{name:<{self._name}}{_GAP}{first}".rstrip()
        for line in others:
            yield self._indent + line
        for line in _wrapped(finding.advice, self._room, _ARROW) if finding.advice else ():
            yield self._indent + line


def _several(count: int) -> str:
    return f"{count} checks"


def _counted(outcome: Outcome, count: int) -> str:
    is_noun = outcome in (Outcome.NOTE, Outcome.WARNING)
    return counted(count, outcome) if is_noun else f"{count:,} {outcome}"


def _wrapped(text: str, width: int, mark: str = "") -> list[str]:
    """Wrap text between words only: an attribute or a digest can be copied as it stands."""
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginsDocument:
    """The backends that are installed."""

    plugins: tuple[PluginView, ...]

    @classmethod
    def of(cls, found: Sequence[Plugin]) -> Self:
        """Give the document."""
        return filled(cls, found, plugins=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginView:
    """Of PluginsDocument."""

    type: str
    package: str
    version: str
    ready: bool
    missing: Annotated[tuple[str, ...], "packages that are not installed"]
    fault: Annotated[str | None, "null or why it cannot be used"]
    attributes: Annotated[tuple[AttributeView, ...], "{}"]

    @classmethod
    def of(cls, plugin: Plugin) -> Self:
        """Give one backend."""
        return filled(cls, plugin, ready=not plugin.fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeView:
    """Of PluginView."""

    name: str
    summary: str
    from_: bool
    to: bool

    @classmethod
    def of(cls, attribute: KnownAttribute) -> Self:
        """Give one attribute."""
        return filled(cls, attribute, from_=attribute.source, to=attribute.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisDocument:
    """What an examination found."""

    target: str
    exit_code: int
    checks: tuple[CheckView, ...]

    @classmethod
    def of(cls, diagnosis: Diagnosis) -> Self:
        """Give the document."""
        return filled(cls, diagnosis, checks=diagnosis.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """Of DiagnosisDocument."""

    name: str
    outcome: str
    finding: str
    advice: Annotated[str | None, "null or text"]
    facts: Annotated[dict[str, Any], Line("what was measured; its fields are those of the check")]
    exit_code: int

    @classmethod
    def of(cls, result: Examined) -> Self:
        """Give one check."""
        finding = result.finding
        return filled(
            cls,
            finding,
            name=result.check,
            finding=finding.text,
            facts=dict(finding.facts),
        )
