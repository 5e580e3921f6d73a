"""Asking one bucket, in ways in which an export never asks."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cachexport.backends.s3.connect import connect, open_session
from cachexport.backends.s3.errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cachexport.backends.s3.attrs import Connection
    from cachexport.backends.s3.writing import Writing
    from cachexport.errors import CachexportError

ATTEMPTS = 2
"""How often the checks try something: they are waited for, and an answer that fails is one too."""
_CONNECTING = 5.0
_ANSWERING = 20.0
"""Seconds to wait for a connection, and for an answer."""


class Desk:
    """Where the checks of a bucket ask. `connection` names bucket and region, if any is known.

    `place` names the bucket in messages; `now` gives the seconds since 1970.
    """

    def __init__(
        self, connection: Connection, writing: Writing, now: Callable[[], float] = time.time
    ) -> None:
        self.connection = connection
        self.writing = writing
        self.now = now
        self.bucket = connection.bucket
        self.place = f"s3://{connection.bucket}"
        self._clients: dict[str, Any] = {}

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

    def versions(self, key: str) -> list[str]:
        """Give the versions of a key, also those that say that it is deleted."""
        with translated("list", f"{self.place}/{key}"):
            answer = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key)
        found = (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ()))
        return [item["VersionId"] for item in found if item["Key"] == key]

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

    @cached_property
    def _settings(self) -> Any:
        """The settings of exports."""
        with translated("log in", self.place):
            made = connect(self.connection, self.connection.region)
        made.close()
        return made.meta.config

    def _make(self, changed: Mapping[str, Any]) -> Any:
        from botocore.config import Config

        attempts = min(ATTEMPTS, self.connection.retry_max_attempts)
        timeouts = {
            "connect_timeout": _CONNECTING,
            "read_timeout": _ANSWERING,
            "retries": {"total_max_attempts": attempts},
        }
        settings = self._settings.merge(Config(**{**timeouts, **changed}))
        endpoint = self.connection.endpoint_url or None
        with translated("log in", self.place):
            return self.session.client("s3", endpoint_url=endpoint, config=settings)


def code(error: BaseException) -> str:
    """Give the server's own word for an error of which this is the translation; empty for none."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return ""  # others may have a response of another kind
    return str(cause.response.get("Error", {}).get("Code", ""))


def told(error: CachexportError) -> str:
    """Give the server's own word, or else all that is known."""
    return code(error) or str(error)
