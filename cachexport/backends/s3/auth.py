"""Logins for S3: the whole chain of boto3, and what the attributes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachexport.backends.s3.attrs import Connection

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
