"""Whether a server is there, what time it has, and in which region the bucket is."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import S3Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.s3.probe_desk import Desk
    from cachexport.contract.checks import Fact, Finding

_TRIPS = 3
_SKEW = 60.0
"""Seconds of difference that do no harm."""
_REGION = "x-amz-bucket-region"


class Reaching:
    """The checks that ask without a login."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._headers: Mapping[str, Any] = {}
        self._asked_at = 0.0

    def reach(self) -> Finding:
        """See whether a server answers, and how fast."""
        seconds, status = min(self._trip() for _ in range(_TRIPS))
        endpoint = self._desk.endpoint
        facts: dict[str, Fact] = {
            "endpoint": endpoint,
            "status": status,
            "server": self._headers.get("server"),
            "milliseconds": round(seconds * 1000, 3),
        }
        if status >= 500:
            text = f"{endpoint} answers {status} to whoever asks for {self._desk.place}"
            error = S3Error(text, op="reach the server", code=str(status), temporary=True)
            advice = "check endpoint_url=, and look at the server's log"
            return failed(error, advice, text=text, **facts)
        words = (endpoint, facts["server"], f"{facts['milliseconds']:,.1f} ms there and back")
        text = ", ".join(str(word) for word in words if word)
        if urlsplit(endpoint).scheme == "http" and not _is_loopback(self._desk.host):
            advice = "use an endpoint_url= that begins with https://"
            return warning(f"{text}; whoever is between can read and change it", advice, **facts)
        return ok(text, **facts)

    def clock(self) -> Finding:
        """Compare the server's time with ours."""
        try:
            there = parsedate_to_datetime(self._headers.get("date") or "").timestamp()
        except ValueError:
            return skipped("the server does not tell the time")
        # The header has whole seconds, cut off.
        skew = round(there + 0.5 - self._asked_at)
        if abs(skew) <= _SKEW:
            return ok("no more than a minute apart", skew_seconds=skew)
        return warning(
            f"{abs(skew):,} s {'behind' if skew > 0 else 'ahead of'} the server's clock",
            "set this machine's clock (timedatectl set-ntp true) or the server's: requests that "
            "are 15 minutes off are refused",
            skew_seconds=skew,
        )

    def region(self) -> Finding:
        """See in which region the bucket is, and for which one requests are signed."""
        given = self._desk.connection.region
        signed = self._desk.s3.meta.region_name
        found = self._headers.get(_REGION)
        facts: dict[str, Fact] = {"given": given or None, "signed": signed, "found": found}
        if found and found != signed:
            text = f"the bucket is in {found}, requests are signed for {signed}"
            return warning(text, f"set region={found}, or AWS_REGION", **facts)
        if not given:
            text = f"none is given: requests are signed for {signed}, BuildKit wants one"
            return note(text, f"set region={signed}, or AWS_REGION", **facts)
        if not found:
            return ok(f"requests are signed for {signed}, the server names none", **facts)
        return ok(f"the bucket is in {found}", **facts)

    def _trip(self) -> tuple[float, int]:
        started, at = time.perf_counter(), self._desk.now()
        answer = self._desk.answer_to_nobody()
        seconds = time.perf_counter() - started
        self._asked_at = at + seconds / 2
        self._headers = answer["HTTPHeaders"]
        return seconds, answer["HTTPStatusCode"]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
