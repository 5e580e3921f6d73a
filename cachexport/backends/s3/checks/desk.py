"""Asking one bucket, in ways in which an export never asks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cachexport.backends.objects.checks.trial import Trial
from cachexport.backends.objects.layout import Blobs
from cachexport.backends.s3.checks.advice import Advice
from cachexport.backends.s3.client import S3Client
from cachexport.backends.s3.connect import connect, open_session
from cachexport.backends.s3.errors import code_or_text, translated
from cachexport.errors import Auth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.objects.client import Stored
    from cachexport.backends.objects.layout import Keys
    from cachexport.backends.s3.attrs import Connection, S3Export, S3Import
    from cachexport.backends.s3.writing import Writing
    from cachexport.errors import CachexportError

_ATTEMPTS = 2
"""How often the checks try something: somebody waits for them, and a failure is an answer too."""
_CONNECTING = 5.0
_ANSWERING = 20.0
"""Seconds to wait for a connection, and for an answer."""


@dataclass(slots=True, kw_only=True)
class Facts:
    """What earlier checks have found out for later ones."""

    headers: Mapping[str, Any] = field(default_factory=dict)
    """Of the last answer to a request without a login."""
    asked_at: float = 0.0
    """Seconds since 1970 at which the server gave that answer, by our clock."""
    refusals: dict[str, CachexportError | None] = field(default_factory=dict)
    """Why the server refuses a listing, if it does, by the style of URLs that it was asked in."""
    large: Stored | None = None
    """An object that was written in parts; None where that failed."""
    no_parts: str = ""
    """Why it failed."""


class Desk:
    """Where the checks of a bucket ask. `attrs` name bucket and region, if any is known.

    `place` names the bucket in messages; `trial` is what the checks of objects ask.
    """

    def __init__(self, attrs: S3Export | S3Import, writing: Writing, keys: Keys) -> None:
        self.connection: Connection = attrs
        self.writing = writing
        self.bucket = attrs.bucket
        self.place = f"s3://{attrs.bucket}"
        self.advice = Advice(attrs, writing.extras)
        self.facts = Facts()
        self._attempts = min(_ATTEMPTS, attrs.retry_max_attempts)
        self._clients: dict[str, Any] = {}
        impatient = replace(attrs, retry_max_attempts=self._attempts)
        client = S3Client(lambda: self.s3, self.bucket, impatient, writing)
        blobs = Blobs(client=client, keys=keys)
        touch_refresh = getattr(attrs, "touch_refresh", blobs.touch_refresh)
        self.trial = Trial(
            blobs=replace(blobs, touch_refresh=touch_refresh),
            names=attrs.name,
            digest=getattr(attrs, "digest", None),
            force=getattr(attrs, "force", False),
            advise=self.advice,
            erase=self.erase,
        )

    @cached_property
    def session(self) -> Any:
        """boto3's session. Raises Auth for a profile that is not there."""
        with translated("log in", self.place):
            return open_session(self.connection, self.connection.region)

    @property
    def s3(self) -> Any:
        """The client that asks as exports do, but for its timeouts."""
        return self.client("usual")

    @property
    def endpoint(self) -> str:
        """The server's URL, without what else may be in it."""
        parts = urlsplit(self.client("usual").meta.endpoint_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def host(self) -> str:
        """The server's host."""
        return urlsplit(self.endpoint).hostname or ""

    def client(self, kind: str, **settings: Any) -> Any:
        """Give a client of a kind, made once, with these settings of botocore's changed.

        Raises InvalidAttr for an endpoint that is no URL.
        """
        if kind not in self._clients:
            self._clients[kind] = self._make(settings)
        return self._clients[kind]

    def call(self, op: str, key: str, method: str, **parameters: Any) -> Any:
        """Have boto3 do something with a key. Raises what S3Client raises for `op`."""
        with translated(op, f"{self.place}/{key}"):
            return getattr(self.s3, method)(Bucket=self.bucket, Key=key, **parameters)

    def erase(self, key: str) -> None:
        """Delete a key with all its versions. Raises Auth where those may not be deleted."""
        answer = self.call("delete", key, "delete_object")
        if answer.get("VersionId", "null") == "null":
            return
        try:
            for version in self._versions(key):
                self.call("delete", key, "delete_object", VersionId=version)
        except Auth as error:
            message = f"{self.place}/{key}: old versions cannot be deleted ({code_or_text(error)})"
            raise Auth(message, op="delete versions") from error

    def answer_to_nobody(self) -> Mapping[str, Any]:
        """Ask for the bucket without a login; whatever the answer is, give its metadata.

        Raises BackendError where none comes.
        """
        from botocore import UNSIGNED
        from botocore.exceptions import ClientError

        client = self.client(
            "nobody", signature_version=UNSIGNED, retries={"total_max_attempts": 1}
        )
        with translated("reach the server", self.endpoint):
            try:
                answer = client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                answer = error.response
        metadata: Mapping[str, Any] = answer["ResponseMetadata"]
        return metadata

    def credentials(self) -> Any:
        """Give botocore's credentials with `method`, None if there are none.

        Raises Auth where they cannot be had, as for a role that may not be assumed.
        """
        with translated("log in", self.place):
            found = self.session.get_credentials()
            if found is not None:
                found.get_frozen_credentials()
            return found

    def close(self) -> None:
        """Close all connections; twice is fine."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _versions(self, key: str) -> list[str]:
        """List the versions of a key, and the marks that say that it is deleted."""
        with translated("list", f"{self.place}/{key}"):
            answer = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key)
        found = (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ()))
        return [item["VersionId"] for item in found if item["Key"] == key]

    @cached_property
    def _settings(self) -> Any:
        """The settings of exports."""
        with translated("log in", self.place):
            made = connect(self.connection, self.connection.region)
        made.close()
        return made.meta.config

    def _make(self, changed: Mapping[str, Any]) -> Any:
        from botocore.config import Config

        timeouts = {
            "connect_timeout": _CONNECTING,
            "read_timeout": _ANSWERING,
            "retries": {"total_max_attempts": self._attempts},
        }
        settings = self._settings.merge(Config(**{**timeouts, **changed}))
        endpoint = self.connection.endpoint_url or None
        with translated("log in", self.place):
            return self.session.client("s3", endpoint_url=endpoint, config=settings)
