"""Servers that list in pages, each in its own way: nothing is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.services.faulty_proxy import Failure, FaultyProxy
from support.services.s3 import FewAtOnce

from cachexport import export_cache, list_names, prune_caches, remove_names, touch_cache
from cachexport.backends.s3 import connect as connecting
from cachexport.errors import BackendError
from cachexport.testing.samples import small_chains
from cachexport.upkeep.prune import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.services.s3 import S3

ODD = ["f", "f/x", "f/x/y", "f-y", "f.z", "a+b", "a1", "a[1]", "ü%41", "*", "q'\"<& >"]


@pytest.fixture(params=["seaweed", "moto"])
def server(request: pytest.FixtureRequest) -> S3:
    name = "s3" if request.param == "seaweed" else "moto_s3"
    server: S3 = request.getfixturevalue(name)
    return server


@pytest.fixture
def spec(server: S3, prefix: str) -> Callable[[str], str]:
    where = f"bucket={server.shared},region=us-east-1,endpoint_url={server.endpoint}"
    login = f"access_key_id={server.admin.access},secret_access_key={server.admin.secret}"

    def named(name: str) -> str:
        quoted = name.replace('"', '""')
        return f'type=s3,{where},{login},prefix={prefix},"name={quoted}"'

    return named


def test_no_name_is_missed(spec: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = connecting.connect
    monkeypatch.setattr(connecting, "connect", lambda *args: FewAtOnce(real(*args), 2))
    for name in ODD:
        export_cache(small_chains(1), spec(name))
    assert sorted(item.name for item in list_names(spec("x"))) == sorted(ODD)
    [told] = prune_caches([spec("x")], Plan())
    assert len(told.names) == len(ODD)
    for name in ODD:
        assert touch_cache(spec(name))
        assert remove_names(spec(name)) == [name]
    assert list_names(spec("x")) == []


def test_a_listing_that_cannot_go_on_is_no_short_one(
    server: S3, spec: Callable[[str], str]
) -> None:
    body = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    endless = Failure(before=True, status=200, body=body)
    with FaultyProxy(server.endpoint, 1, [endless]) as proxy:
        address = spec("x").replace(server.endpoint, proxy.url)
        with pytest.raises(BackendError, match="not how to go on"):
            list_names(address)
