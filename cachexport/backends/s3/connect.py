"""boto3's client for a connection, with its login."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachexport.backends.s3.attrs import Connection

_SPARE = 4
"""Connections beside those of the blobs that move."""
_CONNECT_TIMEOUT, _READ_TIMEOUT = 10, 60
"""Seconds."""
_CREATING = threading.Lock()
"""boto3 makes no two clients at once."""


def connect(connection: Connection, region: str) -> Any:
    """Give a client that threads may share. Nothing is sent yet."""
    from botocore import UNSIGNED
    from botocore.config import Config

    settings: dict[str, Any] = {
        "retries": {
            "mode": connection.retry_mode,
            "total_max_attempts": connection.retry_max_attempts,
        },
        "connect_timeout": _CONNECT_TIMEOUT,
        "read_timeout": _READ_TIMEOUT,
        "max_pool_connections": connection.upload_parallelism + _SPARE,
        "request_checksum_calculation": connection.checksum,
        "response_checksum_validation": connection.checksum,
        "user_agent_extra": "cachexport",
    }
    if connection.anonymous:
        settings["signature_version"] = UNSIGNED
    # What is read is named by a digest: to hash it once more for the signature protects nothing.
    settings["s3"] = {"payload_signing_enabled": False}
    if connection.endpoint_url and connection.use_path_style is not None:
        settings["s3"]["addressing_style"] = "path" if connection.use_path_style else "virtual"
    with _CREATING:
        return open_session(connection, region).client(
            "s3", endpoint_url=connection.endpoint_url or None, config=Config(**settings)
        )


_SESSION_NAME = "cachexport"


def open_session(connection: Connection, region: str) -> Any:
    """Give a boto3 session whose credentials are renewed before they expire.

    Without attributes they come from where boto3 looks: environment, configuration files, web
    identity, containers and machines of Amazon. Nothing is asked for before the first request.
    """
    import boto3

    session = boto3.Session(
        aws_access_key_id=connection.access_key_id or None,
        aws_secret_access_key=connection.secret_access_key or None,
        aws_session_token=connection.session_token or None,
        profile_name=connection.profile or None,
        region_name=region or None,
    )
    return _with_role(session, connection.role_arn) if connection.role_arn else session


def _with_role(session: Any, role_arn: str) -> Any:
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import Session

    own = session._session
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=own.create_client,
        source_credentials=own.get_credentials(),
        role_arn=role_arn,
        extra_args={"RoleSessionName": _SESSION_NAME},
    )
    assumed = Session()
    assumed._credentials = DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.Session(botocore_session=assumed, region_name=session.region_name)
