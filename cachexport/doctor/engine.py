"""Examine a place that stores caches: run its checks in order and collect the findings."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.contract.checks import Finding, Outcome, Probing, failed, skipped
from cachexport.contract.discovery import find_backend
from cachexport.contract.spec import parse_spec
from cachexport.errors import CachexportError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.contract.checks import Check, Probe
    from cachexport.contract.spec import Spec

_WORDS = {Outcome.FAILED: "failed", Outcome.SKIPPED: "was skipped"}
"""After these outcomes, checks that need this one are skipped; the words go into the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A check by name, run or skipped, with its finding."""

    check: str
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The findings of all checks of one place."""

    target: str
    """The specification, without its secrets."""
    results: tuple[Examined, ...]

    @property
    def exit_code(self) -> int:
        """The largest exit code of the failed checks; 0 when none failed."""
        return max((result.finding.exit_code for result in self.results), default=0)

    def count(self, outcome: Outcome) -> int:
        """Count the checks with this outcome."""
        return sum(result.finding.outcome is outcome for result in self.results)


class Examination:
    """The checks of one place, ready to be run once."""

    def __init__(self, target: str, probe: Probe, *, read_only: bool = False) -> None:
        self.target = target
        self.checks: Sequence[Check] = [
            check for check in probe.checks() if not (read_only and check.writes)
        ]
        self._results: list[Examined] = []

    @property
    def diagnosis(self) -> Diagnosis:
        """The findings so far."""
        return Diagnosis(target=self.target, results=tuple(self._results))

    def run(self) -> Iterator[Examined]:
        """Run the checks and yield each result. A CachexportError becomes a failed finding."""
        findings: dict[str, Finding] = {}
        roots: dict[str, str] = {}
        for check in self.checks:
            root = _obstacle(check, findings, roots)
            if root:
                finding = skipped(f"needs {root}, which {_WORDS[findings[root].outcome]}")
                roots[check.name] = root
            else:
                finding = _run(check)
            findings[check.name] = finding
            self._results.append(Examined(check=check.name, finding=finding))
            yield self._results[-1]


@contextmanager
def examination(text: str, *, read_only: bool = False) -> Iterator[Examination]:
    """Prepare to examine the place that a specification names, and clean up after the block.

    `read_only` leaves out the checks that write. Raises InvalidInputError for an invalid
    specification, PluginError for a backend without checks.
    """
    spec = parse_spec(text)
    probe = _probing(spec).probe(spec)
    try:
        yield Examination(str(spec), probe, read_only=read_only)
    finally:
        probe.close()


def doctor(text: str, *, read_only: bool = False) -> Diagnosis:
    """Examine the place that a specification names. Raises as `examination` does."""
    with examination(text, read_only=read_only) as prepared:
        for _ in prepared.run():
            pass
        return prepared.diagnosis


def _probing(spec: Spec) -> Probing:
    backend = find_backend(spec.type)
    if not isinstance(backend, Probing):
        raise PluginError(
            f"the backend for type={spec.type} has no checks to examine {spec} with; "
            "try it with a small export, or ask its authors for a method `probe`"
        )
    return backend


def _obstacle(check: Check, findings: dict[str, Finding], roots: dict[str, str]) -> str:
    """Name the check because of which this one must be skipped; empty if it can run.

    That is the first check it needs that failed or was skipped. If that one was skipped because of
    another, it is the other, so that a reason names the check where the trouble began.
    """
    for name in check.needs:
        finding = findings.get(name)
        if finding is not None and finding.outcome in _WORDS:
            return roots.get(name, name)
    return ""


def _run(check: Check) -> Finding:
    try:
        return check.run()
    except CachexportError as error:
        return failed(error)
