"""An S3 server as tests see it, whichever program it is."""

from __future__ import annotations

import secrets
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "us-east-1"
# One attempt, since tests want to see failures; no proxy of the environment; bytes and headers as
# they are asked for, without checksums that a test did not ask for.
PLAIN = Config(
    s3={"addressing_style": "path"},
    retries={"total_max_attempts": 1},
    proxies={},
    max_pool_connections=32,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@dataclass(frozen=True)
class AccessKey:
    access: str
    secret: str = field(repr=False)

    @classmethod
    def fresh(cls) -> AccessKey:
        return cls(f"AK{secrets.token_hex(8).upper()}", secrets.token_hex(20))


@contextmanager
def connected(endpoint: str, key: AccessKey) -> Iterator[Any]:
    """Give a boto3 client that may be used from several threads."""
    made = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key.access,
        aws_secret_access_key=key.secret,
        config=PLAIN,
    )
    with closing(made):
        yield made


@dataclass(frozen=True)
class S3:
    """A server that runs; `client` is its admin's, and tests share it.

    - `admin` may do all, also make buckets.
    - `reader` may list and read everywhere, and write nowhere.
    - `tenant` may do all in the bucket `shared`, and nothing in any other.
    """

    endpoint: str
    shared: str
    admin: AccessKey
    reader: AccessKey
    tenant: AccessKey
    client: Any

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """Give a bucket that is new and empty; at the end it is deleted with all that is in it."""
        name = f"tests-{uuid4().hex}"
        self.client.create_bucket(Bucket=name)
        try:
            yield name
        finally:
            self._empty(name)
            self.client.delete_bucket(Bucket=name)

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """List all that is there, in the server's order."""
        return [key for page in self._pages(bucket, prefix) for key in page]

    def _empty(self, bucket: str) -> None:
        for page in self._pages(bucket):
            objects = [{"Key": key} for key in page]
            self.client.delete_objects(Bucket=bucket, Delete={"Objects": objects})

    def _pages(self, bucket: str, prefix: str = "") -> Iterator[list[str]]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            if found := page.get("Contents"):
                yield [entry["Key"] for entry in found]


class FewAtOnce:
    """A client of boto3 that asks for small pages."""

    def __init__(self, client: Any, most: int) -> None:
        self._client = client
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def list_objects_v2(self, **asked: Any) -> Any:
        return self._client.list_objects_v2(**{"MaxKeys": self._most, **asked})
