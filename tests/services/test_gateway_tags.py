"""A bucket with many names, as a gateway lists them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from support.services.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.s3 import S3

TAGS = [f"t{number:05}" for number in range(10_000)]


def test_ten_thousand_tags(
    tmp_path: Path, s3: S3, prefix: str, places: Callable[[str], Callable[[str], str]]
) -> None:
    def put(tag: str) -> None:
        s3.client.put_object(Bucket=s3.shared, Key=f"{prefix}manifests/app/{tag}", Body=b"{}")

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(put, TAGS))
    with running_gateway(tmp_path, "--store", places("s3")("it")) as gateway:
        assert gateway.ask("GET", "/v2/app/tags/list").json()["tags"] == TAGS
        path, found = "/v2/app/tags/list?n=2500", []
        while path:
            answer = gateway.ask("GET", path)
            found += answer.json()["tags"]
            path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
        assert found == TAGS
