"""boto3's client for a connection."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cachexport.backends.s3.auth import open_session

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
