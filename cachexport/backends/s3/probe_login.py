"""Who asks, whether the bucket is there for that one, and by which style of URLs."""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING

from botocore.parsers import ResponseParserError

from cachexport.backends.s3.errors import translated
from cachexport.backends.s3.probe_advice import LOGIN_REFUSED
from cachexport.backends.s3.probe_desk import code, told
from cachexport.contract.checks import failed, note, ok, skipped
from cachexport.errors import Auth, BackendError, CachexportError, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.s3.probe_advice import Advice
    from cachexport.backends.s3.probe_desk import Desk
    from cachexport.contract.checks import Finding

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
