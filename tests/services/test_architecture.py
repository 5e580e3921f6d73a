"""docs/architecture.md shows the ways that blobs go; here they go, and are watched."""

from __future__ import annotations

import re
import traceback
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from botocore.client import BaseClient
from support import ROOT, caches

import cachexport
from cachexport import Digest, copy_cache
from cachexport.content.files.staged import StagedFile
from cachexport.gateway.composing import Options, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from support.services.s3 import S3

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = Path(cachexport.__file__).parent


def shown(heading: str) -> list[str]:
    """Give the lines of the block below a heading of the page, one a frame."""
    found = re.search(rf"^## {re.escape(heading)}\n.*?```text\n(.*?)```", PAGE, re.M | re.S)
    assert found, heading
    return [" ".join(line.split()) for line in found[1].splitlines()]


def way() -> list[str]:
    """Give the frames of the package from the caller of the library down to here."""
    frames = [
        (Path(frame.filename), frame.name)
        for frame in traceback.extract_stack()
        if Path(frame.filename).is_relative_to(PACKAGE)
    ]
    return [f"{path.relative_to(PACKAGE.parent)} {name}" for path, name in frames]


def watch(
    patch: pytest.MonkeyPatch, kind: type, method: str, meant: Callable[..., bool]
) -> list[list[str]]:
    """Give a list into which the way of each call that is meant goes."""
    ways: list[list[str]] = []
    original = getattr(kind, method)

    def watched(self: object, *args: object, **kwargs: object) -> object:
        if meant(*args):
            ways.append(way())
        return original(self, *args, **kwargs)

    patch.setattr(kind, method, watched)
    return ways


def test_the_way_of_a_layer_from_a_directory_to_s3(
    s3: S3, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_blob(operation: str, asked: dict[str, object]) -> bool:
        return operation == "PutObject" and "blobs/" in str(asked["Key"])

    ways = watch(monkeypatch, BaseClient, "_make_api_call", is_blob)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.admin.access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.admin.secret)
    target = f"type=s3,endpoint_url={s3.endpoint},bucket={s3.shared},prefix={prefix}"
    settings = "region=us-east-1,use_path_style=true,name=main"
    copy_cache([f"type=local,src={caches.FOLDER / 'max'}"], [f"{target},{settings}"])
    assert ways
    assert shown("The way of a layer from a directory to S3") == ways[0]


def test_the_way_of_a_blob_that_is_pushed_to_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = b"a layer" * 1000
    ways = watch(monkeypatch, StagedFile, "write", lambda block: blob.startswith(block))
    options = Options(store=f"type=local,dest={tmp_path / 'store'}", spool=tmp_path / "spool")
    with serving(options, lambda record: None) as gateway:
        thread = Thread(target=gateway.server.run, args=(lambda: None,))
        thread.start()
        connection = HTTPConnection(gateway.address, timeout=60)
        place = f"/v2/app/blobs/uploads/?digest={Digest.of(blob)}"
        connection.request("POST", place, blob)
        assert connection.getresponse().status == 201
        connection.close()
        gateway.server.stop()
        thread.join()
    assert ways
    assert shown("The way of a blob that is pushed to the gateway") == ways[0]
