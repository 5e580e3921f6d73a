"""What the tests of `doctor` on S3 servers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.diagnoses import found
from support.services.faulty_proxy import Failure

from cachexport.doctor.engine import doctor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from support.services.messages import Request
    from support.services.s3 import S3, AccessKey

    from cachexport.contract.checks import Finding

READING = ["reach", "clock", "region", "login", "style", "bucket", "list", "read"]
WRITING = ["write", "read-back", "list-after", "replace", "modified"]
CONDITIONS = ["if-absent", "if-unchanged", "race"]
REMOVING = ["touch", "delete", "delete-if"]
OWN = ["parts", "abort", "copy-parts", "checksums", "versions"]
NAMES = [*READING, *WRITING, *CONDITIONS, *REMOVING, *OWN, "clean-up"]


def refusing(code: str, status: int = 403) -> Failure:
    """Give the failure with which a server says why it does not do something."""
    body = f"<Error><Code>{code}</Code></Error>".encode()
    return Failure(before=True, status=status, body=body)


UNKNOWN, DENIED = refusing("NotImplemented", 501), refusing("AccessDenied")


def conditional(it: Request) -> bool:
    return "If-None-Match" in it.headers or "If-Match" in it.headers


def listing(it: Request) -> bool:
    return "list-type" in it.query


def forget_logins(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Find no login and no setting but those that a test makes."""
    patch.setenv("HOME", str(home))
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def log_in(home: Path, key: AccessKey) -> None:
    """Write the profile `ci`."""
    login = f"aws_access_key_id={key.access}\naws_secret_access_key={key.secret}\n"
    file = home / ".aws" / "credentials"
    file.parent.mkdir(parents=True)
    file.write_text(f"[ci]\n{login}")


@dataclass
class Place:
    """A part of a bucket that is a test's own."""

    s3: S3
    prefix: str

    def spec(self, attrs: str = "", *, key: AccessKey | None = None, endpoint: str = "") -> str:
        key = key or self.s3.admin
        return self.bare(
            f"access_key_id={key.access},secret_access_key={key.secret},region=us-east-1"
            + (attrs and f",{attrs}"),
            endpoint,
        )

    def bare(self, attrs: str = "", endpoint: str = "") -> str:
        where = f"endpoint_url={endpoint or self.s3.endpoint},bucket={self.s3.shared}"
        return f"type=s3,{where},prefix={self.prefix}" + (attrs and f",{attrs}")

    def examine(
        self, attrs: str = "", *, key: AccessKey | None = None, endpoint: str = ""
    ) -> dict[str, Finding]:
        return found(doctor(self.spec(attrs, key=key, endpoint=endpoint)))

    def is_clean(self) -> bool:
        """Tell whether there is nothing, and no upload that was begun either."""
        where = {"Bucket": self.s3.shared, "Prefix": self.prefix}
        uploads = self.s3.client.list_multipart_uploads(**where).get("Uploads", [])
        mine = [upload for upload in uploads if upload["Key"].startswith(self.prefix)]
        return not mine and not self.s3.keys(self.s3.shared, self.prefix)
