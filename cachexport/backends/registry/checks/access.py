"""Whether a registry is there, which login it wants, and what time it has."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import urllib3

from cachexport.backends.registry.checks.desk import Role
from cachexport.backends.registry.connections import is_loopback, origin
from cachexport.backends.registry.errors import TEMPORARY
from cachexport.backends.registry.login import Challenge
from cachexport.content.clock import clock
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError

if TYPE_CHECKING:
    from cachexport.backends.registry.checks.desk import RegistryDesk, Reply
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


def reach(desk: RegistryDesk) -> Finding:
    """See whether a registry answers, how, and how fast."""
    try:
        replies, seconds = zip(*(_greet(desk) for _ in range(_TRIPS)), strict=True)
    except BackendError as error:
        cause = error.__cause__
        advice = next((text for kind, text in _ADVICE.items() if isinstance(cause, kind)), "")
        return failed(error, advice)
    url = f"{desk.client(Role.STRANGER).base}/v2/"
    reply: Reply = replies[-1]
    version = reply.headers.get(_VERSION, "")
    # A web site may answer 200 to any request.
    is_page = "html" in reply.headers.get("Content-Type", "")
    is_registry = version or reply.status in _REFUSALS or (reply.status == 200 and not is_page)
    if not is_registry:
        text = f"{url} answers {reply.status}, and not as a registry"
        later = reply.status in TEMPORARY
        advice = "it is overloaded or down; try later" if later else "check the host in ref="
        wrong = BackendError(text, op="reach the registry")
        return failed(wrong, advice, status=reply.status)
    return _reached(desk, url, version, round(min(seconds) * 1000, 3))


def _greet(desk: RegistryDesk) -> tuple[Reply, float]:
    """Give the answer to GET /v2/, and the seconds that it took."""
    started, at = clock().monotonic(), clock().now()
    reply = desk.ask_once(Role.STRANGER, "GET", "/v2/", op="reach the registry")
    seconds = clock().monotonic() - started
    desk.facts.greeting, desk.facts.greeted_at = reply, at + seconds / 2
    return reply, seconds


def _reached(desk: RegistryDesk, url: str, version: str, milliseconds: float) -> Finding:
    scheme, host, _ = origin(url)
    proxy = desk.proxy()
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
    if scheme == "https" and desk.attrs.insecure:
        advice = "leave registry.insecure out if its certificate is one that is trusted"
        return note(f"{text}; its certificate is not checked", advice, **facts)
    return ok(text, **facts)


def login(desk: RegistryDesk) -> Finding:
    """See which login the registry asks for, and whether it accepts the one that is stored."""
    path, asked = "/v2/", desk.facts.greeting
    if asked is None or asked.status != 401:
        # Some registries answer anybody at /v2/ and ask for a login further in only.
        path = f"{desk.path}/manifests/{desk.reference.target}"
        asked = desk.ask(Role.STRANGER, "GET", path, op="look in without a login")
    if asked.status != 401:
        return ok("none is asked for", challenge=None, user=None)
    challenge = Challenge.parse(asked.headers.get("WWW-Authenticate", ""))
    host = desk.reference.host
    advice = f"docker login {host}"
    try:
        found = desk.find_login()
        reply = desk.ask(Role.READER, "GET", path, op=f"log in to {host}")
    except Auth as error:
        return failed(error, advice, challenge=challenge.scheme)
    who = "nobody" if found is None else found.username or "the holder of an identity token"
    facts: dict[str, Fact] = {
        "challenge": challenge.scheme,
        "user": found.username if found else None,
    }
    if reply.status in _REFUSALS:
        text = f"{challenge.scheme}: {who} is refused ({reply.reason})"
        return failed(reply.error, f"{advice}, or allow {who} in", text=text, **facts)
    text = f"{challenge.scheme}, as {who}"
    if found is None:
        return note(f"{text}: most registries let nobody write", advice, **facts)
    return ok(text, **facts)


def compare_clocks(desk: RegistryDesk) -> Finding:
    """Compare the registry's time with ours."""
    greeting = desk.facts.greeting
    date = greeting.headers.get("Date") if greeting else None
    try:
        there = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return skipped("the registry does not tell the time")
    # The header has whole seconds, cut off.
    skew = round(there + 0.5 - desk.facts.greeted_at)
    if abs(skew) <= _SKEW:
        return ok("no more than a minute apart", skew_seconds=skew)
    direction = "behind" if skew > 0 else "ahead of"
    return warning(f"{abs(skew):,} s {direction} the registry's clock", skew_seconds=skew)
