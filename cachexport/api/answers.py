"""How exports end, one answer for each target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.errors import CachexportError


@dataclass(frozen=True, slots=True)
class Answer:
    """How the export to one target ended.

    One that failed has an error and no response.
    """

    target: str
    """The specification, without its secrets."""
    response: dict[str, str] = field(default_factory=dict)
    error: CachexportError | None = None
    name: str = ""
    """The name of the cache, where many are copied each under its own."""
    ignored: bool = False
    """Whether the target says `ignore-error`."""


def raise_failures(answers: Sequence[Answer]) -> None:
    """Raise the error of the target that failed, or an ExceptionGroup of several."""
    errors = [answer.error for answer in answers if answer.error and not answer.ignored]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several exports failed", errors)
