"""S3 servers do what every backend must do: SeaweedFS, and moto for what it is good for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.services.s3 import FewAtOnce

from cachexport.backends.s3.attrs import S3Export
from cachexport.backends.s3.client import S3Client
from cachexport.backends.s3.connect import connect
from cachexport.backends.s3.writing import Writing
from cachexport.contract.attributes import read_attributes
from cachexport.contract.spec import parse_spec
from cachexport.testing import BackendSuite, Harness, ObjectClientSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.services.s3 import S3


@pytest.fixture
def attrs(server: S3, prefix: str) -> str:
    login = f"access_key_id={server.admin.access},secret_access_key={server.admin.secret}"
    where = f"endpoint_url={server.endpoint},bucket={server.shared},region=us-east-1"
    return f"type=s3,{where},prefix={prefix},{login}"


class OnS3(BackendSuite):
    @pytest.fixture
    def harness(self, attrs: str, server: S3, prefix: str) -> Harness:
        def put_foreign(name: str) -> None:
            key = f"{prefix}manifests/{name}"
            server.client.put_object(Bucket=server.shared, Key=key, Body=b'{"some":"thing"}')

        return Harness(
            spec=lambda name: f"{attrs},name={name}",
            swaps=True,
            sweeps=True,
            no_grace="touch_refresh=0s",
            put_foreign=put_foreign,
        )


class TestSeaweed(OnS3):
    @pytest.fixture
    def server(self, s3: S3) -> S3:
        return s3


class TestMoto(OnS3):
    @pytest.fixture
    def server(self, moto_s3: S3) -> S3:
        return moto_s3


class OnBucket(ObjectClientSuite):
    page_size = 5

    @pytest.fixture
    def client(self, attrs: str, server: S3) -> Iterator[S3Client]:
        given = read_attributes(S3Export, parse_spec(attrs))
        writing = replace(Writing(), part_size=given.part_size)

        def few_at_once() -> FewAtOnce:
            return FewAtOnce(connect(given, given.region), self.page_size)

        client = S3Client(few_at_once, given.bucket, given, writing)
        yield client
        client.close()


class TestSeaweedObjects(OnBucket):
    @pytest.fixture
    def server(self, s3: S3) -> S3:
        return s3


class TestMotoObjects(OnBucket):
    @pytest.fixture
    def server(self, moto_s3: S3) -> S3:
        return moto_s3
