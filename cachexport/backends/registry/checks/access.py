"""Whether a registry is there, whom it wants to know, and what time it has."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import urllib3

from cachexport.backends.registry.checks.desk import Role
from cachexport.backends.registry.errors import TEMPORARY
from cachexport.backends.registry.hosts import is_loopback, origin
from cachexport.backends.registry.tokens import Challenge
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError

if TYPE_CHECKING:
    from cachexport.backends.registry.checks.desk import Desk, Reply
    from cachexport.contract.checks import Fact, Finding

_TRIPS = 3
_SKEW = 60.0
"""Seconds of difference from which on tokens may be taken for expired or not yet good."""
_REFUSALS = (401, 403)
_ADVICE: dict[type[Exception], str] = {
    urllib3.exceptions.ProxyError: "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
    urllib3.exceptions.SSLError: "add the certificate's authority to the system's or name it in "
    "SSL_CERT_FILE; registry.insecure=true checks none, and goes on in plain HTTP without TLS",
    urllib3.exceptions.NameResolutionError: "check the host in ref=, and that DNS knows it here",
    urllib3.exceptions.NewConnectionError: "check host and port in ref=, and that the registry "
    "runs",
    urllib3.exceptions.TimeoutError: "check host and port in ref=, and for a firewall in between",
}
"""What to do about a failure of the network. The first that fits counts."""
_VERSION = "Docker-Distribution-Api-Version"


class Reaching:
    """The checks that need nothing but the host."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reply: Reply | None = None
        self._asked_at = 0.0

    def reach(self) -> Finding:
        """See whether a registry answers, how, and how fast."""
        try:
            seconds = min(self._trip() for _ in range(_TRIPS))
        except BackendError as error:
            return failed(error, _advice(error))
        reply = self._reply
        assert reply is not None
        if not _is_registry(reply):
            text = f"{self._url()} answers {reply.status}, and not as a registry"
            wrong = BackendError(text, op="reach the registry")
            later = reply.status in TEMPORARY
            advice = "it is overloaded or down; try later" if later else "check the host in ref="
            return failed(wrong, advice, status=reply.status)
        return self._how(reply.headers.get(_VERSION, ""), round(seconds * 1000, 3))

    def login(self) -> Finding:
        """See whom the registry wants to know, and whether it lets that one in."""
        path, asked = self._question()
        challenge = Challenge.parse(asked.headers.get("WWW-Authenticate", ""))
        if asked.status != 401:
            return ok("none is asked for", challenge=None, user=None)
        host = self._desk.reference.host
        advice = f"docker login {host}"
        try:
            login = self._desk.find_login()
            reply = self._desk.ask(Role.READER, "GET", path, op=f"log in to {host}")
        except Auth as error:
            return failed(error, advice, challenge=challenge.scheme)
        who = "nobody" if login is None else login.username or "the holder of an identity token"
        facts: dict[str, Fact] = {
            "challenge": challenge.scheme,
            "user": login.username if login else None,
        }
        if reply.status in _REFUSALS:
            text = f"{challenge.scheme}: {who} is refused ({reply.told})"
            return failed(reply.error, f"{advice}, or allow {who} in", text=text, **facts)
        text = f"{challenge.scheme}, as {who}"
        if login is None:
            return note(f"{text}: most registries let nobody write", advice, **facts)
        return ok(text, **facts)

    def clock(self) -> Finding:
        """Compare the registry's time with ours."""
        date = self._reply.headers.get("Date") if self._reply else None
        try:
            there = parsedate_to_datetime(date or "").timestamp()
        except ValueError:
            return skipped("the registry does not tell the time")
        # The header has whole seconds, cut off.
        skew = round(there + 0.5 - self._asked_at)
        if abs(skew) <= _SKEW:
            return ok("no more than a minute apart", skew_seconds=skew)
        return warning(
            f"{abs(skew):,} s {'behind' if skew > 0 else 'ahead of'} the registry's clock",
            "set this machine's clock (timedatectl set-ntp true) or the registry's: "
            "tokens are good for minutes only",
            skew_seconds=skew,
        )

    def _question(self) -> tuple[str, Reply]:
        """Give the path at which the registry asks who is there, and how it asks."""
        reply = self._reply
        if reply is not None and reply.status == 401:
            return "/v2/", reply
        # Some let everybody look at the door and ask inside.
        path = f"{self._desk.path}/manifests/{self._desk.reference.target}"
        return path, self._desk.ask(Role.STRANGER, "GET", path, op="look in without a login")

    def _trip(self) -> float:
        started, at = time.perf_counter(), self._desk.now()
        self._reply = self._desk.ask_once(Role.STRANGER, "GET", "/v2/", op="reach the registry")
        seconds = time.perf_counter() - started
        self._asked_at = at + seconds / 2
        return seconds

    def _url(self) -> str:
        return f"{self._desk.client(Role.STRANGER).base}/v2/"

    def _how(self, version: str, milliseconds: float) -> Finding:
        scheme, host, _ = origin(self._url())
        proxy = self._desk.proxy()
        facts: dict[str, Fact] = {
            "scheme": scheme,
            "version": version or None,
            "milliseconds": milliseconds,
            "proxy": proxy or None,
        }
        words = [scheme, version, f"{milliseconds:,.1f} ms there and back"]
        text = ", ".join(filter(None, (*words, proxy and f"through {proxy}")))
        if scheme == "http" and not is_loopback(host):
            advice = "serve it over TLS, and leave registry.insecure out"
            return warning(f"{text}; whoever is between can read and change it", advice, **facts)
        if scheme == "https" and self._desk.attrs.insecure:
            advice = "leave registry.insecure out if its certificate is one that is trusted"
            return note(f"{text}; its certificate is not checked", advice, **facts)
        return ok(text, **facts)


def _is_registry(reply: Reply) -> bool:
    if reply.headers.get(_VERSION):
        return True
    kind = reply.headers.get("Content-Type", "")
    # A web site may answer 200 to whatever it is asked for.
    return reply.status in _REFUSALS or (reply.status == 200 and "html" not in kind)


def _advice(error: BackendError) -> str:
    cause = error.__cause__
    return next((text for kind, text in _ADVICE.items() if isinstance(cause, kind)), "")
