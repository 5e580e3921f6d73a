"""Whether a server is there, who asks it, and where the bucket is."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.parsers import ResponseParserError

from cachexport.backends.s3.checks.advice import LOGIN_REFUSED
from cachexport.backends.s3.errors import code_of, code_or_text, translated
from cachexport.content.clock import clock
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError, CachexportError, NotFound, S3Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.s3.checks.desk import Desk
    from cachexport.contract.checks import Fact, Finding

_TRIPS = 3
_SKEW = 60.0
"""Seconds of difference that do no harm."""
_REGION = "x-amz-bucket-region"
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


def reach(desk: Desk) -> Finding:
    """See whether a server answers, and how fast."""
    seconds, status = min(_trip(desk) for _ in range(_TRIPS))
    endpoint = desk.endpoint
    facts: dict[str, Fact] = {
        "endpoint": endpoint,
        "status": status,
        "server": desk.facts.headers.get("server"),
        "milliseconds": round(seconds * 1000, 3),
    }
    if status >= 500:
        text = f"{endpoint} answers {status} to whoever asks for {desk.place}"
        error = S3Error(text, op="reach the server", code=str(status), temporary=True)
        advice = "check endpoint_url=, and look at the server's log"
        return failed(error, advice, text=text, **facts)
    words = (endpoint, facts["server"], f"{facts['milliseconds']:,.1f} ms there and back")
    text = ", ".join(str(word) for word in words if word)
    if urlsplit(endpoint).scheme == "http" and not _is_loopback(desk.host):
        advice = "use an endpoint_url= that begins with https://"
        return warning(f"{text}; whoever is between can read and change it", advice, **facts)
    return ok(text, **facts)


def _trip(desk: Desk) -> tuple[float, int]:
    started, at = clock().monotonic(), clock().now()
    answer = desk.answer_to_nobody()
    seconds = clock().monotonic() - started
    desk.facts.asked_at = at + seconds / 2
    desk.facts.headers = answer["HTTPHeaders"]
    return seconds, answer["HTTPStatusCode"]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def compare_clocks(desk: Desk) -> Finding:
    """Compare the server's time with ours."""
    try:
        there = parsedate_to_datetime(desk.facts.headers.get("date") or "").timestamp()
    except ValueError:
        return skipped("the server does not tell the time")
    # The header has whole seconds, cut off.
    skew = round(there + 0.5 - desk.facts.asked_at)
    if abs(skew) <= _SKEW:
        return ok("no more than a minute apart", skew_seconds=skew)
    return warning(
        f"{abs(skew):,} s {'behind' if skew > 0 else 'ahead of'} the server's clock",
        skew_seconds=skew,
    )


def region(desk: Desk) -> Finding:
    """See in which region the bucket is, and for which one requests are signed."""
    given = desk.connection.region
    signed = desk.s3.meta.region_name
    found = desk.facts.headers.get(_REGION)
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


def login(desk: Desk) -> Finding:
    """See where the login comes from, and whether the server takes it."""
    if desk.connection.anonymous:
        return note("none, as anonymous=true says; most buckets let nobody write", source=None)
    try:
        found = desk.credentials()
    except (Auth, BackendError) as error:
        return _not_had(desk, error)
    if found is None:
        return _not_had(desk, Auth("there is no login", op="log in"))
    source = _SOURCES.get(found.method, found.method)
    key = shortened(found.get_frozen_credentials().access_key)
    refusal = _refusals(desk)[_ours(desk)]
    if refusal is not None and (word := code_of(refusal)) in LOGIN_REFUSED:
        text = f"{key}, from {source}, is refused ({word}): "
        text += _REASONS.get(word, "it is no longer valid")
        advice = f"check the login from {source}, and that it is one of this server (endpoint_url=)"
        if word == "RequestTimeTooSkewed":
            advice = "set this machine's clock (timedatectl set-ntp true)"
        return failed(refusal, advice, text=text, source=found.method)
    return ok(f"{key}, from {source}", source=found.method, access_key=key)


def _not_had(desk: Desk, error: CachexportError) -> Finding:
    connection = desk.connection
    if connection.role_arn and code_of(error):
        text = f"{connection.role_arn} cannot be assumed ({code_of(error)})"
        advice = "allow sts:AssumeRole on it, and let the role trust that login"
        return failed(Auth(text, op="log in"), advice, source="assume-role")
    advice = desk.advice(error) or (
        "set $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, or profile=; anonymous=true "
        "reads a public bucket"
    )
    return failed(error, advice, source=None)


def shortened(access_key: str) -> str:
    """Give enough of an access key to tell it from others, and no more."""
    if len(access_key) < 16:
        return f"{access_key[:2]}…"
    return f"{access_key[:4]}…{access_key[-4:]}"


def style(desk: Desk) -> Finding:
    """See whether the bucket may be in the path of URLs, or in their host, as is usual."""
    if _is_amazon(desk):
        return ok("the bucket is in the host, as Amazon wants it", works=VIRTUAL)
    if _is_address(desk.host):
        return ok("the bucket is in the path, as before every IP address", works=PATH)
    if isinstance(_refusals(desk)[_ours(desk)], Auth):
        return skipped("cannot be told where listing is refused")
    works = [style for style, refusal in _refusals(desk).items() if refusal is None]
    facts = {"works": " ".join(works), "asked": _ours(desk)}
    if len(works) > 1:
        return ok("the bucket may be in the path or in the host", **facts)
    if _ours(desk) == VIRTUAL:
        return ok("the bucket has to be in the host, and is", **facts)
    if desk.connection.use_path_style:
        return ok("the bucket has to be in the path, and is", **facts)
    text = "the bucket has to be in the path: BuildKit puts it into the host"
    return note(text, "set use_path_style=true, which costs nothing here", **facts)


def bucket(desk: Desk) -> Finding:
    """See whether the bucket is there."""
    refusals, ours = _refusals(desk), _ours(desk)
    other = PATH if ours == VIRTUAL else VIRTUAL
    refusal = refusals[ours]
    if refusal is None:
        return ok("is there", bucket=desk.bucket)
    word = code_or_text(refusal)
    if isinstance(refusal, Auth):
        text = f"whether it is there cannot be told: listing is refused ({word})"
        return note(text, bucket=desk.bucket)
    if other in refusals and refusals[other] is None:
        text = f"is not there in {ours} style ({word}), and is in {other}"
        advice = f"set use_path_style={'true' if other == PATH else 'false'}"
        return failed(refusal, advice, text=text, bucket=desk.bucket)
    if isinstance(refusal, NotFound):
        # To a caller NotFound means that there is no cache to read.
        refusal = BackendError(f"{refusal}; check bucket= and endpoint_url=", op="list")
    return failed(refusal, desk.advice(refusal), bucket=desk.bucket)


def _refusals(desk: Desk) -> Mapping[str, CachexportError | None]:
    """Ask for a listing in each style that may be asked in, once; give the errors."""
    found = desk.facts.refusals
    if not found:
        either = not _is_amazon(desk) and not _is_address(desk.host)
        styles = {PATH, VIRTUAL} if either else {_ours(desk)}
        found |= {style: _ask(desk, style) for style in sorted(styles)}
    return found


def _ours(desk: Desk) -> str:
    """Give the style in which exports ask."""
    chosen = (desk.s3.meta.config.s3 or {}).get("addressing_style")
    return VIRTUAL if _is_amazon(desk) or chosen == VIRTUAL else PATH


def _is_amazon(desk: Desk) -> bool:
    return desk.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _ask(desk: Desk, style: str) -> CachexportError | None:
    is_ours = style == _ours(desk)
    client = desk.s3 if is_ours else desk.client(style, s3={"addressing_style": style})
    try:
        with translated("list", desk.place):
            answer = client.list_objects_v2(
                Bucket=desk.bucket, Prefix="cachexport-doctor", MaxKeys=1
            )
    except ResponseParserError:
        return _no_s3(desk)
    except CachexportError as error:
        # botocore gives the status as the code of an answer that has none of S3's.
        return _no_s3(desk) if code_of(error).isdigit() else error
    return None if answer.get("Name") == desk.bucket else _no_s3(desk)


def _no_s3(desk: Desk) -> BackendError:
    text = f"{desk.endpoint} answers, but not as S3 does about a bucket"
    return BackendError(f"{text}; check endpoint_url=", op="list")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
