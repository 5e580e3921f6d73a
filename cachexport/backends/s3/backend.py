"""The entry point `s3`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.s3.attrs import Connection, S3Export
    from cachexport.backends.s3.lifecycle import S3Expiry
    from cachexport.backends.s3.writing import Writing
    from cachexport.objectlayout.blobs import Blobs
    from cachexport.objectlayout.place import ObjectPlace
    from cachexport.spec import Spec
    from cachexport.transfer.ends import Backend, Source, Target
    from cachexport.transfer.probe import Probe


class S3Backend:
    """Makes sources and targets of `type=s3`. What they need is imported with the first."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env

    def attributes(self) -> tuple[type, type]:
        """See Described."""
        from cachexport.backends.s3.attrs import S3Export, S3Import

        return S3Import, S3Export

    def source(self, spec: Spec, /) -> Source:
        """See Backend. Of several names the first is read, as BuildKit does."""
        from cachexport.backends.s3.attrs import S3Export, S3Import
        from cachexport.backends.s3.writing import Writing
        from cachexport.objectlayout.source import ObjectSource
        from cachexport.spec import known_attributes, read_attributes

        attrs = read_attributes(S3Import, spec, ignored=known_attributes(S3Export))
        return ObjectSource(self._blobs(attrs, Writing()), attrs.name[:1], attrs.digest)

    def split(self, spec: Spec, /) -> tuple[Spec, ...]:
        """See ManyNamed."""
        from cachexport.spec.units import names

        try:
            several = names(spec.attrs.get("name", ""))
        except ValueError:
            return (spec,)
        return tuple(replace(spec, attrs={**spec.attrs, "name": name}) for name in several)

    def target(self, spec: Spec, /) -> Target:
        """See Backend."""
        from cachexport.backends.s3.attrs import S3Export, S3Import
        from cachexport.objectlayout.target import ObjectTarget
        from cachexport.spec import known_attributes, read_attributes

        attrs = read_attributes(S3Export, spec, ignored=known_attributes(S3Import))
        blobs = replace(self._blobs(attrs, _writing(attrs)), touch_refresh=attrs.touch_refresh)
        return ObjectTarget(attrs, blobs, attrs.name[0], force=attrs.force)

    def place(self, spec: Spec, /) -> ObjectPlace:
        """See Keeping: all names below the prefix."""
        from cachexport.backends.s3.attrs import S3Export, S3Import
        from cachexport.objectlayout.place import ObjectPlace
        from cachexport.spec import Spec, known_attributes, read_attributes

        attrs = read_attributes(S3Export, spec, ignored=known_attributes(S3Import))
        given = {key: value for key, value in spec.attrs.items() if key != "digest"}

        def named(name: str, *, force: bool = False) -> Spec:
            return Spec("s3", {**given, "name": name, **({"force": "true"} if force else {})})

        content = replace(self._blobs(attrs, _writing(attrs)), touch_refresh=attrs.touch_refresh)
        return ObjectPlace(content=content, root=attrs.prefix, source=named, target=named)

    def name(self, spec: Spec, /) -> str | None:
        """See Keeping. Of several names the first counts."""
        if "digest" in spec.attrs:
            return None
        return spec.attrs.get("name", "buildkit").partition(";")[0]

    def expiry(self, spec: Spec, /) -> S3Expiry:
        """See Expiring."""
        from cachexport.backends.s3.attrs import S3Export, S3Import
        from cachexport.backends.s3.connect import connect
        from cachexport.backends.s3.lifecycle import S3Expiry
        from cachexport.spec import known_attributes, read_attributes

        attrs = read_attributes(S3Export, spec, ignored=known_attributes(S3Import))
        content = self._blobs(attrs, _writing(attrs))
        region = attrs.region or self._env.get("AWS_REGION", "")
        return S3Expiry(
            lambda: connect(attrs, region),
            attrs.bucket or self._env.get("AWS_BUCKET", ""),
            content.keys,
            attrs.prefix,
            attrs.touch_refresh,
        )

    def probe(self, spec: Spec, /) -> Probe:
        """See Probing. What names a digest is a source."""
        from cachexport.backends.s3.attrs import S3Export, S3Import
        from cachexport.backends.s3.probe import S3Probe
        from cachexport.backends.s3.probe_desk import Desk
        from cachexport.backends.s3.writing import Writing
        from cachexport.spec import known_attributes, read_attributes

        given: S3Export | S3Import
        if "digest" in spec.attrs:
            given = read_attributes(S3Import, spec, ignored=known_attributes(S3Export))
        else:
            given = read_attributes(S3Export, spec)
        bucket, region = self._env.get("AWS_BUCKET", ""), self._env.get("AWS_REGION", "")
        attrs = replace(given, bucket=given.bucket or bucket, region=given.region or region)
        writing = _writing(attrs) if isinstance(attrs, S3Export) else Writing()
        return S3Probe(Desk(attrs, writing), attrs, self._blobs(attrs, writing).keys)

    def _blobs(self, attrs: Connection, writing: Writing) -> Blobs:
        from cachexport.backends.s3.client import S3Client
        from cachexport.backends.s3.connect import connect
        from cachexport.errors import InvalidAttr
        from cachexport.objectlayout.blobs import Blobs
        from cachexport.objectlayout.keys import Keys

        bucket = attrs.bucket or self._env.get("AWS_BUCKET", "")
        if not bucket:
            raise InvalidAttr("bucket", "type=s3 needs bucket=, or $AWS_BUCKET")
        region = attrs.region or self._env.get("AWS_REGION", "")
        keys = Keys(
            blobs=attrs.prefix + attrs.blobs_prefix, names=attrs.prefix + attrs.manifests_prefix
        )
        client = S3Client(lambda: connect(attrs, region), bucket, attrs, writing)
        return Blobs(client=client, keys=keys)


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
