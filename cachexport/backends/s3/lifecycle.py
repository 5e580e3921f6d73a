"""A bucket's lifecycle rules that expire old names, and blobs so late that none is needed any more.

A name that was written at an instant t needs blobs that were written or touched at most
`touch_refresh` before t. It is gone `days` after t at the earliest; so a blob may go `days` and
`touch_refresh` after it was last written or touched. S3 counts whole days and rounds up to the
next midnight, hence one day more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cachexport.backends.s3.errors import translated
from cachexport.errors import S3Error
from cachexport.transfer.expiry import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.objectlayout.keys import Keys

_DAY = 24 * 3600.0
_STALE_UPLOAD = 7
"""Days after which the parts of an upload that was never finished go."""
_NONE = "NoSuchLifecycleConfiguration"


class S3Expiry:
    """See Expiry. `make` gives boto3's client; it is called with the first request."""

    def __init__(
        self, make: Callable[[], Any], bucket: str, keys: Keys, root: str, touch_refresh: float
    ) -> None:
        self._make = make
        self._bucket = bucket
        self._keys = keys
        self._root = root
        self._touch_refresh = touch_refresh

    def rules(self, days: int, /) -> Rules:
        """See Expiry."""
        blob_days = days + math.ceil(self._touch_refresh / _DAY) + 1
        document = {
            "Rules": [
                self._rule("names", self._keys.names, Expiration={"Days": days}),
                self._rule("blobs", self._keys.blobs, Expiration={"Days": blob_days}),
                self._rule(
                    "uploads",
                    self._root,
                    AbortIncompleteMultipartUpload={"DaysAfterInitiation": _STALE_UPLOAD},
                ),
            ]
        }
        return Rules(document=document, name_days=days, blob_days=blob_days)

    def apply(self, rules: Rules, /) -> None:
        """See Expiry. A bucket has one list of rules: ours replace those of ours in it."""
        s3 = self._make()
        try:
            ours = rules.document["Rules"]
            names = {rule["ID"] for rule in ours}
            others = [rule for rule in self._current(s3) if rule.get("ID") not in names]
            with translated("set the lifecycle rules of", f"s3://{self._bucket}"):
                s3.put_bucket_lifecycle_configuration(
                    Bucket=self._bucket, LifecycleConfiguration={"Rules": [*others, *ours]}
                )
        finally:
            s3.close()

    def close(self) -> None:
        """See Expiry. Nothing is held."""

    def _current(self, s3: Any) -> list[Any]:
        try:
            with translated("read the lifecycle rules of", f"s3://{self._bucket}"):
                answer = s3.get_bucket_lifecycle_configuration(Bucket=self._bucket)
        except S3Error as error:
            if error.code == _NONE:
                return []
            raise
        return list(answer.get("Rules", ()))

    def _rule(self, what: str, prefix: str, **action: Any) -> dict[str, Any]:
        name = f"cachexport {what} {self._root}".rstrip()
        return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **action}
