"""What goes wrong, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING

from support.services.messages import Reply

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from support.services.messages import Request

TIMEOUT = 60  # seconds that a held request waits for its test


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens instead of, or with, the registry's reply.

    - `status` (with `body`): reply so; the registry does nothing.
    - `headers`: are put over those of the reply; None takes one away.
    - `read`: end the connection after so many bytes of the request's body; nothing is done,
      or with `kept` what would be done if they were all of it.
    - `silent`: do what is asked, but end the connection without a reply.
    - `cut`: end it after so many bytes of the reply's body, which Content-Length gives in full.
    - `reset`: end it by a reset; alone, after the whole reply.
    - `until`: do and reply nothing before this is set.
    """

    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    read: int | None = None
    kept: bool = False
    silent: bool = False
    cut: int | None = None
    reset: bool = False
    until: Event | None = None

    @property
    def ends(self) -> bool:
        """Tell whether the connection ends, whoever wants to keep it."""
        return self.silent or self.reset or self.read is not None or self.cut is not None

    def reply(self, genuine: Callable[[], Reply]) -> Reply:
        if self.until and not self.until.wait(TIMEOUT):
            raise AssertionError("a test held a request and never let it go")
        reply = genuine() if self.status is None else Reply(self.status)
        body = reply.body if self.body is None else self.body
        headers = {**reply.headers, **self.headers}
        kept = {name: value for name, value in headers.items() if value is not None}
        return Reply(reply.status, kept, body)


@dataclass
class Rule:
    """Plays a fault for some of the requests that it matches.

    `hits` counts those it matched, `reached` is set when one met the fault.
    """

    method: str
    path: re.Pattern[str]
    fault: Fault
    nth: int
    times: int | None
    when: Callable[[Request], bool]
    hits: int = 0
    reached: Event = field(default_factory=Event)

    def matches(self, request: Request) -> bool:
        method = self.method in {request.method, "*"}
        return method and bool(self.path.search(request.path)) and self.when(request)

    def due(self) -> bool:
        after = self.hits - self.nth
        return after >= 0 and (self.times is None or after < self.times)


class Script:
    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = Lock()

    def add(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    def take(self, request: Request) -> Fault:
        """Count the request for every rule, and give the fault of the first that is due."""
        with self._lock:
            matching = [rule for rule in self._rules if rule.matches(request)]
            for rule in matching:
                rule.hits += 1
            due = next((rule for rule in matching if rule.due()), None)
        if due is None:
            return Fault()
        due.reached.set()
        return due.fault
