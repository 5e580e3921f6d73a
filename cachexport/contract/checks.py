"""What a place for caches is asked by `doctor`: checks, one after another, each with a finding.

A backend that can answer is `Probing`. That is optional, so it is no part of `Backend`.
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
    """How a check ended, from the best to the worst; one that was skipped did not begin."""

    OK = "ok"
    NOTE = "note"
    """Works, with something to know."""
    WARNING = "warning"
    """Works for now or in part; something should be changed."""
    FAILED = "failed"
    """An export or an import would fail."""
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found. Neither text nor facts have a secret."""

    outcome: Outcome
    text: str
    """What is so, in a line."""
    advice: str = ""
    """What to change: an attribute, a command. Empty where nothing is."""
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    """What was measured, for programs."""
    exit_code: int = 0
    """Not 0 in one that failed, and only there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question. `run` may raise a CachexportError that it did not foresee: then it failed."""

    name: str
    """In small letters, with hyphens; it stays the same from version to version."""
    run: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    """Earlier checks without which there is no sense in this one."""
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Row(Generic[_Desk]):
    """A line of a backend's table of checks. `ask` gets the desk where all of them ask."""

    name: str
    ask: Callable[[_Desk], Finding]
    needs: tuple[str, ...] = ()
    writes: bool = False
    optional: bool = False
    """Whether exports and imports do without: then a CachexportError is a warning."""
    advice: str = ""
    """What to change after a warning or a failure for which `ask` has no advice of its own."""

    def at(self, desk: _Desk) -> Check:
        """Make the check of one place."""

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

    What they write has names and content of its own: nothing of anybody else's is touched.
    """

    def checks(self) -> Sequence[Check]:
        """Give the checks in the order in which they are to run. Asks nothing yet."""

    def close(self) -> None:
        """Remove what the checks have left behind, and free what the probe holds; twice is fine.

        Called whatever happened, so it raises no CachexportError: what stays is a warning.
        """


@runtime_checkable
class Probing(Protocol):
    """A Backend that can be examined."""

    def probe(self, spec: Spec, /) -> Probe:
        """Read the attributes of a `--cache-to` or `--cache-from`. Raises InvalidAttr."""


def ok(text: str, **facts: Fact) -> Finding:
    """Find that all is well."""
    return Finding(outcome=Outcome.OK, text=text, facts=facts)


def note(text: str, advice: str = "", **facts: Fact) -> Finding:
    """Find something to know."""
    return Finding(outcome=Outcome.NOTE, text=text, advice=advice, facts=facts)


def warning(text: str, advice: str = "", **facts: Fact) -> Finding:
    """Find something that should be changed."""
    return Finding(outcome=Outcome.WARNING, text=text, advice=advice, facts=facts)


def failed(error: CachexportError, advice: str = "", *, text: str = "", **facts: Fact) -> Finding:
    """Find that something does not work; the exit code is that of the error."""
    return Finding(
        outcome=Outcome.FAILED,
        text=text or str(error),
        advice=advice,
        facts=facts,
        exit_code=error.exit_code,
    )


def skipped(reason: str) -> Finding:
    """Find nothing, for a reason."""
    return Finding(outcome=Outcome.SKIPPED, text=reason)
