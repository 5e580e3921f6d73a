"""The checks of a backend, which `doctor` runs one after another, and their findings.

A backend that has checks implements `Probing`. It is apart from `Backend` as it is optional.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cachexport.contract.spec import Spec

_Desk = TypeVar("_Desk")
Fact = str | int | float | bool | None


class Outcome(StrEnum):
    """How a check ended, from best to worst. SKIPPED, the last, means that it checked nothing."""

    OK = "ok"
    NOTE = "note"
    """It works; there is something to know."""
    WARNING = "warning"
    """It works for now or in part; something should be changed."""
    FAILED = "failed"
    """An export or an import would fail."""
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of a check. It contains no secrets."""

    outcome: Outcome
    text: str
    """The finding in a line."""
    advice: str = ""
    """What to change: an attribute, a command. Empty if there is nothing to change."""
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    """What was measured, for programs."""
    exit_code: int = 0
    """The exit code of the error if the check failed, else 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of one place. If `run` raises a CachexportError, the check has failed."""

    name: str
    """Lower case with hyphens. It stays the same from version to version."""
    run: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    """Earlier checks; if one of them failed or was skipped, this one is skipped."""
    writes: bool = False


@dataclass(frozen=True)  # no slots: with them Row[Desk](...) fails
class Row(Generic[_Desk]):
    """A row of a backend's table of checks.

    `ask` runs the check. Its argument, the desk, is what all checks of one place share.
    """

    name: str
    ask: Callable[[_Desk], Finding]
    needs: tuple[str, ...] = ()
    writes: bool = False
    optional: bool = False
    """Whether exports and imports work without it: then a CachexportError is only a warning."""
    advice: str = ""
    """What to change, for a warning or failure that `ask` gives without advice of its own."""

    def at(self, desk: _Desk) -> Check:
        """Make the check that asks this desk."""

        def run() -> Finding:
            try:
                finding = self.ask(desk)
            except CachexportError as error:
                if not self.optional:
                    raise
                return warning(str(error))
            wants_advice = finding.outcome in (Outcome.WARNING, Outcome.FAILED)
            if wants_advice and not finding.advice:
                return replace(finding, advice=self.advice)
            return finding

        return Check(name=self.name, run=run, needs=self.needs, writes=self.writes)


class Probe(Protocol):
    """The checks of one place.

    They write only names and content of their own, so they touch nothing else.
    """

    def checks(self) -> Sequence[Check]:
        """Give the checks in the order in which they run. Runs none of them."""

    def close(self) -> None:
        """Remove what the checks have written and free all resources; may be called twice.

        It is called after errors too, so it raises no CachexportError; it logs a warning about
        anything that it cannot remove.
        """


@runtime_checkable
class Probing(Protocol):
    """A Backend with checks."""

    def probe(self, spec: Spec, /) -> Probe:
        """Make the probe for a `--cache-to` or `--cache-from`. Raises InvalidAttr."""


def ok(text: str, **facts: Fact) -> Finding:
    """Make a finding: it works."""
    return Finding(outcome=Outcome.OK, text=text, facts=facts)


def note(text: str, advice: str = "", **facts: Fact) -> Finding:
    """Make a finding: it works, but there is something to know."""
    return Finding(outcome=Outcome.NOTE, text=text, advice=advice, facts=facts)


def warning(text: str, advice: str = "", **facts: Fact) -> Finding:
    """Make a finding: something should be changed."""
    return Finding(outcome=Outcome.WARNING, text=text, advice=advice, facts=facts)


def failed(error: CachexportError, advice: str = "", *, text: str = "", **facts: Fact) -> Finding:
    """Make a finding: it does not work. The exit code is that of the error."""
    return Finding(
        outcome=Outcome.FAILED,
        text=text or str(error),
        advice=advice,
        facts=facts,
        exit_code=error.exit_code,
    )


def skipped(reason: str) -> Finding:
    """Make a finding: nothing was checked, and why."""
    return Finding(outcome=Outcome.SKIPPED, text=reason)
