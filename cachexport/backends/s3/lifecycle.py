"""A bucket's lifecycle rules that expire old names, and blobs so late that none is needed any more.

A name that was written at an instant t needs blobs that were written or touched at most
`touch_refresh` before t. It is gone `days` after t at the earliest; so a blob may go `days` and
`touch_refresh` after it was last written or touched. S3 counts whole days and rounds up to the
next midnight, hence one day more. The names of images, which a gateway writes, count as names.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cachexport.backends.objects.images import FOLDER
from cachexport.backends.s3.errors import translated
from cachexport.contract.place import (
    Rules,
)
from cachexport.errors import FailedPrecondition, S3Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.backends.objects.layout import Keys

_DAY = 24 * 3600.0
_STALE_UPLOAD = 7
"""Days after which the parts of an upload that was never finished go."""
_NAMES, _IMAGES = "names", "images"
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
        """See Expiry. Raises FailedPrecondition where a rule would take other things too."""
        keys = self._keys
        if not keys.blobs or not keys.names or keys.blobs.startswith(keys.names):
            raise FailedPrecondition(
                f"s3://{self._bucket}/{self._root} has no prefix of their own for blobs and for "
                "names: rules would expire other things, or blobs before their time; give the "
                "cache others (blobs_prefix, manifests_prefix)"
            )
        return self._rules(days, days)

    def apply(self, rules: Rules, /) -> Rules:
        """See Expiry. A bucket has one list of rules: ours replace those of the same prefixes.

        Other names below the same root may need the same blobs, so these stay long enough for all.
        """
        s3 = self._make()
        try:
            ours = {rule["ID"] for rule in rules.document["Rules"]}
            others = [rule for rule in self._current(s3) if rule.get("ID") not in ours]
            longest = max(rules.name_days, *map(self._name_days, others), 0)
            rules = self._rules(rules.name_days, longest)
            with translated("set the lifecycle rules of", f"s3://{self._bucket}"):
                s3.put_bucket_lifecycle_configuration(
                    Bucket=self._bucket,
                    LifecycleConfiguration={"Rules": [*others, *rules.document["Rules"]]},
                )
        finally:
            s3.close()
        return rules

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

    def _rules(self, days: int, longest: int) -> Rules:
        """Make rules for names that stay `days`, and blobs that names need for `longest` days."""
        blob_days = longest + math.ceil(self._touch_refresh / _DAY) + 1
        stale = {"DaysAfterInitiation": _STALE_UPLOAD}
        document = {
            "Rules": [
                _rule(_NAMES, self._keys.names, Expiration={"Days": days}),
                _rule(_IMAGES, self._root + FOLDER, Expiration={"Days": days}),
                _rule("blobs", self._keys.blobs, Expiration={"Days": blob_days}),
                _rule("uploads", self._root, AbortIncompleteMultipartUpload=stale),
            ]
        }
        return Rules(document=document, name_days=days, blob_days=blob_days)

    def _name_days(self, rule: Any) -> int:
        """Give the days of a rule of ours for other names below the same root; else 0."""
        prefix = rule.get("Filter", {}).get("Prefix", "")
        is_of_names = rule.get("ID") in (_id(_NAMES, prefix), _id(_IMAGES, prefix))
        is_near = is_of_names and prefix.startswith(self._root)
        return int(rule.get("Expiration", {}).get("Days", 0)) if is_near else 0


def _rule(what: str, prefix: str, **action: Any) -> dict[str, Any]:
    return {"ID": _id(what, prefix), "Status": "Enabled", "Filter": {"Prefix": prefix}, **action}


def _id(what: str, prefix: str) -> str:
    return f"cachexport {what} {prefix}".rstrip()
