"""What to do about the failures of a bucket: a permission, an attribute, a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore import exceptions as boto

from cachexport.backends.s3.errors import code_of
from cachexport.errors import Auth, BackendError, S3Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.s3.attrs import Connection
    from cachexport.errors import CachexportError

LOGIN_REFUSED = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "ExpiredTokenException",
        "TokenRefreshRequired",
        "InvalidClientTokenId",
        "RequestTimeTooSkewed",
    }
)
"""The server's words for a login that is wrong, and not only one that may not do something."""
SENT = "when_supported"
"""The value of checksum= with which S3's own checksums are sent."""
_PERMISSIONS = {
    "head": ("s3:GetObject",),
    "read": ("s3:GetObject",),
    "list": ("s3:ListBucket",),
    "write": ("s3:PutObject",),
    "touch": ("s3:GetObject", "s3:PutObject"),
    "delete": ("s3:DeleteObject",),
    "delete versions": ("s3:DeleteObjectVersion",),
}
_NETWORK: dict[type[Exception], str] = {
    boto.ProxyConnectionError: "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
    boto.SSLError: "name the authority of the certificate in $AWS_CA_BUNDLE, or give it one that "
    "is trusted",
    boto.EndpointConnectionError: "check host and port in endpoint_url=, that DNS knows the host "
    "here, and that the server runs",
    boto.ConnectTimeoutError: "check endpoint_url=, and for a firewall in between",
    boto.HTTPClientError: "check endpoint_url=, and for a firewall or a proxy in between",
}
"""What to do about a failure of the network. The first that fits counts."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about an error of a connection whose objects are written with `extras`."""

    connection: Connection
    extras: Mapping[str, str]

    def __call__(self, error: CachexportError) -> str:
        """Say what to do; nothing where the error says it or nothing is known."""
        cause = error.__cause__
        if isinstance(cause, boto.ProfileNotFound):
            return "check profile=; `aws configure list-profiles` lists those that are known"
        if isinstance(error, Auth):
            return self._about_denial(error)
        if code_of(error) == "NoSuchBucket":
            return f"`aws s3 mb s3://{self.connection.bucket}` makes it, if its name is right"
        if isinstance(error, S3Error) and error.op == "write" and self.connection.checksum == SENT:
            return "checksum=when_required, if the server does not know S3's own checksums"
        return next((text for kind, text in _NETWORK.items() if isinstance(cause, kind)), "")

    def allowing(self, *permissions: str, on_bucket: bool = False) -> str:
        """Say what a policy is to allow, on the keys of the cache or on the bucket itself."""
        bucket = f"arn:aws:s3:::{self.connection.bucket}"
        on = bucket if on_bucket else f"{bucket}/{self.connection.prefix}*"
        return f"allow {_listed(permissions)} on {on}"

    def _about_denial(self, error: BackendError) -> str:
        if self.connection.anonymous:
            return "leave anonymous out, and give a login that may do that"
        permissions = _PERMISSIONS.get(error.op)
        if permissions is None or code_of(error) in LOGIN_REFUSED:
            return ""
        if error.op == "list":
            return self.allowing(*permissions, on_bucket=True)
        if error.op == "delete versions":
            listing = self.allowing("s3:ListBucketVersions", on_bucket=True)
            return f"{self.allowing(*permissions)}, and {listing}"
        advice = self.allowing(*permissions, *self._of_extras(error.op))
        if error.op in ("head", "read"):
            # Without the permission to list, S3 answers for a missing object that it is forbidden.
            return f"{advice}, and {self.allowing('s3:ListBucket', on_bucket=True)}"
        return advice

    def _of_extras(self, op: str) -> tuple[str, ...]:
        """Give what is needed beside, for the settings with which objects are written."""
        found = []
        if op in ("write", "touch") and "Tagging" in self.extras:
            found.append("s3:PutObjectTagging")
        if op == "touch" and "Tagging" in self.extras:
            found.append("s3:GetObjectTagging")
        if op != "delete" and self.extras.get("ServerSideEncryption") == "aws:kms":
            found += ["kms:GenerateDataKey", "kms:Decrypt"]
        return tuple(found)


def _listed(words: tuple[str, ...]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
