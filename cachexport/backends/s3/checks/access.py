"""Whether a server is there, who asks it, and where the bucket is."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.parsers import ResponseParserError

from cachexport.backends.s3.checks.advice import LOGIN_REFUSED
from cachexport.backends.s3.checks.desk import code, told
from cachexport.backends.s3.errors import translated
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError, CachexportError, NotFound, S3Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.s3.checks.advice import Advice
    from cachexport.backends.s3.checks.desk import Desk
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


PATH, VIRTUAL = "path", "virtual"
_SOURCES = {
    "explicit": "access_key_id=",
    "env": "$AWS_ACCESS_KEY_ID",
    "shared-credentials-file": "the file of credentials (~/.aws/credentials)",
    "config-file": "the file of settings (~/.aws/config)",
    "assume-role": "a role that is assumed",
    "assume-role-with-web-identity": "a role for a web identity",
    "container-role": "the container's role",
    "iam-role": "the machine's role",
    "sso": "single sign-on",
    "custom-process": "a program (credential_process)",
    "login": "`aws login`",
}
_REASONS = {
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret does not fit the access key",
    "RequestTimeTooSkewed": "this machine's clock is too far off",
    "InvalidClientTokenId": "the access key is not known there",
}


class Login:
    """The checks of who asks, and for which bucket. All ask for a listing of one key."""

    def __init__(self, desk: Desk, advice: Advice) -> None:
        self._desk = desk
        self._advice = advice

    def login(self) -> Finding:
        """See where the login comes from, and whether the server takes it."""
        if self._desk.connection.anonymous:
            return note("none, as anonymous=true says; most buckets let nobody write", source=None)
        try:
            found = self._desk.credentials()
        except (Auth, BackendError) as error:
            return self._not_had(error)
        if found is None:
            return self._not_had(Auth("there is no login", op="log in"))
        source = _SOURCES.get(found.method, found.method)
        key = shortened(found.get_frozen_credentials().access_key)
        refusal = self._answers[self._ours]
        if refusal is not None and code(refusal) in LOGIN_REFUSED:
            reason = _REASONS.get(code(refusal), "it is no longer valid")
            text = f"{key}, from {source}, is refused ({code(refusal)}): {reason}"
            return failed(refusal, _about(source, code(refusal)), text=text, source=found.method)
        return ok(f"{key}, from {source}", source=found.method, access_key=key)

    def bucket(self) -> Finding:
        """See whether the bucket is there."""
        refusal = self._answers[self._ours]
        if refusal is None:
            return ok("is there", bucket=self._desk.bucket)
        if isinstance(refusal, Auth):
            text = f"whether it is there cannot be told: listing is refused ({told(refusal)})"
            return note(text, bucket=self._desk.bucket)
        if self._other in self._answers and self._answers[self._other] is None:
            text = f"is not there in {self._ours} style ({told(refusal)}), and is in {self._other}"
            return failed(refusal, self._about_other(), text=text, bucket=self._desk.bucket)
        if isinstance(refusal, NotFound):
            # To a caller NotFound means that there is no cache to read.
            refusal = BackendError(f"{refusal}; check bucket= and endpoint_url=", op="list")
        return failed(refusal, self._advice(refusal), bucket=self._desk.bucket)

    def style(self) -> Finding:
        """See whether the bucket may be in the path of URLs, or in their host, as is usual."""
        if self._is_amazon:
            return ok("the bucket is in the host, as Amazon wants it", works=VIRTUAL)
        if _is_address(self._desk.host):
            return ok("the bucket is in the path, as before every IP address", works=PATH)
        if isinstance(self._answers[self._ours], Auth):
            return skipped("cannot be told where listing is refused")
        works = [style for style, refusal in self._answers.items() if refusal is None]
        facts = {"works": " ".join(works), "asked": self._ours}
        if len(works) > 1:
            return ok("the bucket may be in the path or in the host", **facts)
        if self._ours == VIRTUAL:
            return ok("the bucket has to be in the host, and is", **facts)
        if self._desk.connection.use_path_style:
            return ok("the bucket has to be in the path, and is", **facts)
        text = "the bucket has to be in the path: BuildKit puts it into the host"
        return note(text, "set use_path_style=true, which costs nothing here", **facts)

    @cached_property
    def _answers(self) -> Mapping[str, CachexportError | None]:
        """What the server has against a listing, in each style that may be asked in."""
        styles = {self._ours} if self._is_amazon or _is_address(self._desk.host) else _BOTH
        return {style: self._ask(style) for style in sorted(styles)}

    @property
    def _ours(self) -> str:
        """The style in which exports ask."""
        chosen = (self._desk.s3.meta.config.s3 or {}).get("addressing_style")
        return VIRTUAL if self._is_amazon or chosen == VIRTUAL else PATH

    @property
    def _other(self) -> str:
        return PATH if self._ours == VIRTUAL else VIRTUAL

    @property
    def _is_amazon(self) -> bool:
        return self._desk.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    def _ask(self, style: str) -> CachexportError | None:
        desk, bucket = self._desk, self._desk.bucket
        is_ours = style == self._ours
        client = desk.s3 if is_ours else desk.client(style, s3={"addressing_style": style})
        try:
            with translated("list", desk.place):
                answer = client.list_objects_v2(
                    Bucket=bucket, Prefix="cachexport-doctor", MaxKeys=1
                )
        except ResponseParserError:
            return self._no_s3()
        except CachexportError as error:
            # A number is what botocore calls an answer without S3's own word for it.
            return self._no_s3() if code(error).isdigit() else error
        return None if answer.get("Name") == bucket else self._no_s3()

    def _no_s3(self) -> BackendError:
        text = f"{self._desk.endpoint} answers, but not as S3 does about a bucket"
        return BackendError(f"{text}; check endpoint_url=", op="list")

    def _not_had(self, error: CachexportError) -> Finding:
        connection = self._desk.connection
        if connection.role_arn and code(error):
            text = f"{connection.role_arn} cannot be assumed ({code(error)})"
            advice = "allow sts:AssumeRole on it, and let the role trust that login"
            return failed(Auth(text, op="log in"), advice, source="assume-role")
        advice = self._advice(error) or (
            "set $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, or profile=; anonymous=true "
            "reads a public bucket"
        )
        return failed(error, advice, source=None)

    def _about_other(self) -> str:
        if self._ours == VIRTUAL:
            return "set use_path_style=true"
        return "set use_path_style=false"


_BOTH = {PATH, VIRTUAL}


def shortened(access_key: str) -> str:
    """Give enough of an access key to tell it from others, and no more."""
    if len(access_key) < 16:
        return f"{access_key[:2]}…"
    return f"{access_key[:4]}…{access_key[-4:]}"


def _about(source: str, word: str) -> str:
    if word == "RequestTimeTooSkewed":
        return "set this machine's clock (timedatectl set-ntp true)"
    return f"check the login from {source}, and that it is one of this server (endpoint_url=)"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
