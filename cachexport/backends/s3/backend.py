"""The entry point `s3`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from cachexport.backends.objects.backend import ObjectBackend, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.objects.layout import Keys
    from cachexport.backends.s3.attrs import Connection, S3Export, S3Import
    from cachexport.backends.s3.lifecycle import S3Expiry
    from cachexport.backends.s3.writing import Writing
    from cachexport.contract.backend import Backend
    from cachexport.contract.checks import Probe
    from cachexport.contract.spec import Spec

_Attrs = TypeVar("_Attrs", bound="S3Export | S3Import")


class S3Backend(ObjectBackend):
    """Makes sources and targets of `type=s3`. What they need is imported with the first."""

    kind = "s3"

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env

    def attributes(self) -> tuple[type, type]:
        """See Described."""
        from cachexport.backends.s3.attrs import S3Export, S3Import

        return S3Import, S3Export

    def open_store(self, attrs: S3Export | S3Import, /) -> Store:
        """See ObjectBackend."""
        from cachexport.backends.s3.attrs import S3Export
        from cachexport.backends.s3.client import S3Client
        from cachexport.backends.s3.connect import connect
        from cachexport.backends.s3.writing import Writing

        attrs = self._with_defaults(attrs)
        writing = _writing(attrs) if isinstance(attrs, S3Export) else Writing()
        client = S3Client(lambda: connect(attrs, attrs.region), attrs.bucket, attrs, writing)
        return Store(client=client, keys=_keys(attrs), root=attrs.prefix)

    def expiry(self, spec: Spec, /) -> S3Expiry:
        """See Expiring."""
        from cachexport.backends.s3.attrs import S3Export, S3Import
        from cachexport.backends.s3.connect import connect
        from cachexport.backends.s3.lifecycle import S3Expiry
        from cachexport.contract.attributes import known_attributes, read_attributes

        attrs = self._with_defaults(
            read_attributes(S3Export, spec, ignored=known_attributes(S3Import))
        )
        return S3Expiry(
            lambda: connect(attrs, attrs.region),
            attrs.bucket,
            _keys(attrs),
            attrs.prefix,
            attrs.touch_refresh,
        )

    def probe(self, spec: Spec, /) -> Probe:
        """See Probing. What names a digest is a source."""
        from cachexport.backends.s3.attrs import S3Export, S3Import
        from cachexport.backends.s3.checks.desk import Desk
        from cachexport.backends.s3.checks.table import S3Probe
        from cachexport.backends.s3.writing import Writing
        from cachexport.contract.attributes import known_attributes, read_attributes

        given: S3Export | S3Import
        if "digest" in spec.attrs:
            given = read_attributes(S3Import, spec, ignored=known_attributes(S3Export))
        else:
            given = read_attributes(S3Export, spec)
        attrs = self._with_defaults(given)
        writing = _writing(attrs) if isinstance(attrs, S3Export) else Writing()
        return S3Probe(Desk(attrs, writing, _keys(attrs)))

    def _with_defaults(self, attrs: _Attrs) -> _Attrs:
        """Fill in bucket and region from the environment. Raises InvalidAttr without a bucket."""
        from cachexport.errors import InvalidAttr

        bucket = attrs.bucket or self._env.get("AWS_BUCKET", "")
        if not bucket:
            raise InvalidAttr("bucket", "type=s3 needs bucket=, or $AWS_BUCKET")
        region = attrs.region or self._env.get("AWS_REGION", "")
        return replace(attrs, bucket=bucket, region=region)


def _keys(attrs: Connection) -> Keys:
    from cachexport.backends.objects.layout import Keys

    return Keys(
        blobs=attrs.prefix + attrs.blobs_prefix, names=attrs.prefix + attrs.manifests_prefix
    )


def _writing(attrs: S3Export) -> Writing:
    from urllib.parse import urlencode

    from cachexport.backends.s3.writing import Writing

    extras = {
        "ServerSideEncryption": attrs.sse,
        "SSEKMSKeyId": attrs.sse_kms_key_id,
        "StorageClass": attrs.storage_class,
        "Tagging": urlencode(attrs.tags or {}),
    }
    return Writing(
        part_size=attrs.part_size,
        extras={name: value for name, value in extras.items() if value},
        checksums=attrs.checksum == "when_supported",
    )


backend: Backend = S3Backend()
