"""Clients of Azure's SDK: the login, and how often what fails is tried."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from cachexport.errors import InvalidAttr

if TYPE_CHECKING:
    from cachexport_azblob.attrs import Connection

_Attrs = TypeVar("_Attrs", bound="Connection")
_CONNECT_TIMEOUT, _READ_TIMEOUT = 10, 60
"""Seconds."""
_FIRST_WAIT, _GROWTH = 0.3, 1.6
"""Seconds before the second try, and how much longer each further one waits."""
_CHUNK = 4 << 20
"""Bytes of a download that are asked for at once, and in memory."""


def checked(attrs: _Attrs) -> _Attrs:
    """Give the attributes with the account's name. Raises InvalidAttr for what cannot be."""
    if not attrs.account_url:
        raise InvalidAttr(
            "account_url",
            "type=azblob needs account_url=, or $BUILDKIT_AZURE_STORAGE_ACCOUNT_URL",
        )
    host = urlsplit(attrs.account_url).hostname or ""
    name = attrs.account_name or host.partition(".")[0]
    if not name:
        raise InvalidAttr("account_name", "type=azblob needs account_name=: the URL has none")
    if not attrs.secret_access_key and attrs.account_url.startswith("http:"):
        message = "without secret_access_key= an account is asked over https only"
        raise InvalidAttr("account_url", message)
    try:
        base64.b64decode(attrs.secret_access_key, validate=True)
    except binascii.Error:
        message = "secret_access_key= is no key of an account, which is text in base64"
        raise InvalidAttr("secret_access_key", message) from None
    return replace(attrs, account_name=name)


def connect(attrs: Connection) -> Any:
    """Give a ContainerClient. Nothing is asked of the account yet."""
    from azure.storage.blob import ContainerClient, ExponentialRetry

    retries = ExponentialRetry(
        initial_backoff=_FIRST_WAIT,
        increment_base=_GROWTH,
        retry_total=attrs.retry_max_attempts - 1,
        random_jitter_range=_FIRST_WAIT,
    )
    return ContainerClient(
        attrs.account_url,
        attrs.container,
        credential=_credential(attrs),
        retry_policy=retries,
        connection_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        max_single_get_size=_CHUNK,
        max_chunk_get_size=_CHUNK,
        user_agent="cachexport",
    )


def _credential(attrs: Connection) -> Any:
    if attrs.secret_access_key:
        return {"account_name": attrs.account_name, "account_key": attrs.secret_access_key}
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
